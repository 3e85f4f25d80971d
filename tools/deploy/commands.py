"""What ./importos deploy, logs, stop, list and delete do, with any provider.

A command on several machines does what it can for each; what went wrong is said for each, and the
exit status is 1.  A deployment that fails or is interrupted takes back what it has made.
"""

import contextlib
import signal
import sys

from tools.deploy import readiness
from tools.deploy.provider import Built
from tools.errors import UserError


def run(provider, options, build):
    """Do a command; `build(options)` makes the images and returns their folder."""
    if options.command == "deploy":
        with ended_in_order():
            return deploy(provider, options, build)
    absent = getattr(options, "all", False)  # what --all removes may have no machines any more
    chosen = select(provider.instances(), options.names, absent)
    match options.command:
        case "list":
            show(chosen)
        case "logs":
            logs(provider, chosen, options.follow)
        case "stop":
            readiness.off(provider, chosen, options.timeout, tell)
        case "delete":
            delete(provider, chosen, options.names if absent else [])
    return 0


def deploy(provider, options, build):
    """Build, make the machines, wait until they are ready."""
    if options.name or options.count != 1:
        provider.names(options.name or "x")  # the service's is known after the build
    provider.check()
    options.cloud = True
    options.format = provider.formats(options)
    folder = build(options)
    built = Built(folder.name.removesuffix("-cloud"), folder)
    try:
        instances = provider.deploy(built, tell)
        if instances and options.wait:
            readiness.wait(provider, instances, options.timeout, tell)
        elif instances:
            show(instances)
    except BaseException as error:
        take_back(provider, options.keep, isinstance(error, KeyboardInterrupt))
        raise
    if provider.changed:
        provider.tidy([built.service], tell)
    return 0


def take_back(provider, keep, interrupted):
    """After a deployment that did not succeed: remove what it made; one line on what is there."""
    if provider.made and not keep:
        left = provider.withdraw()
        what = f"left behind: {left}" if left else "what was made is removed"
    elif provider.made:
        what = f"kept (--keep): {', '.join(what for what, _ in provider.made)}"
    elif interrupted or provider.changed:
        what = "nothing was made"
    else:
        return
    what = "; ".join([what, *provider.changed])
    tell(f"interrupted: {what}" if interrupted else what)


@contextlib.contextmanager
def ended_in_order():
    """What asks this process to end does it as Ctrl-C does: so nothing is left in the cloud."""

    def interrupt(number, frame):
        for other in before:
            signal.signal(other, signal.SIG_IGN)  # they come twice: to the process, and its group
        raise KeyboardInterrupt

    before = dict.fromkeys((signal.SIGTERM, signal.SIGHUP))
    for number in before:
        before[number] = signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def logs(provider, instances, follow):
    if follow:
        readiness.follow(provider, instances, write)
        return
    for instance in instances:
        if len(instances) > 1:
            tell(f"==> {instance.name} <==")
        text = provider.console(instance)
        if not text:
            tell(f"{instance.name}: nothing on its console ({instance.state})")
        write(text)


def delete(provider, instances, services):
    """Delete machines, and what they and those of other services have left."""
    refused = []
    for instance in instances:
        try:
            provider.delete(instance)
            tell(f"{instance.name}: deleted")
        except UserError as error:
            refused.append(str(error))
    services = dict.fromkeys([*(instance.service for instance in instances), *services])
    try:
        provider.tidy(list(services), tell)
    except UserError as error:
        refused.append(str(error))
    readiness.all_or_error(refused, tell)


def select(instances, names, absent=False):
    """The machines that are meant by names of machines and services; all where there are none.
    A name that nothing has is refused, unless it may be `absent`.
    """
    if not names:
        return instances
    for name in names:
        if not absent and not any(name in (i.name, i.service) for i in instances):
            known = ", ".join(sorted(i.name for i in instances)) or "nothing was deployed"
            raise UserError(f"no machine or service {name!r} there: {known}")
    return [i for i in instances if i.name in names or i.service in names]


def show(instances):
    """A table of machines."""
    rows = [(i.name, i.service, i.state, " ".join(i.addresses)) for i in instances]
    if not rows:
        tell("nothing is deployed")
        return
    rows.insert(0, ("NAME", "SERVICE", "STATE", "ADDRESSES"))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False))
        tell(f"{line}  {row[3]}".rstrip())


def write(text):
    sys.stdout.write(text)
    sys.stdout.flush()


def tell(*words):
    """Progress, at once: also where the output is a file."""
    print(*words, flush=True)
