"""./importos deploy, logs, stop, list, delete: the commands, whatever the cloud.

    ./importos deploy openstack dns --count 2      build, upload, boot, wait, say where it is
    ./importos list openstack                      what is there
    ./importos logs openstack dns-1                its console
    ./importos stop openstack dns                  all machines of a service, by power button
    ./importos delete openstack dns

provider.py is the contract of a provider, readiness.py the waiting; a provider is a module or
package here.  A new one is a line in `providers`.
Left out: updates one machine after the other (--replace replaces all at once).
"""

import sys

from tools.deploy import readiness
from tools.deploy.provider import Built
from tools.errors import UserError

COMMANDS = ("deploy", "logs", "stop", "list", "delete")
ASKING = COMMANDS[1:]  # these build nothing
READY_TIMEOUT, STOP_TIMEOUT = 300, 60  # seconds


def providers():
    """{name: class}."""
    from tools.deploy.kubevirt import KubeVirt
    from tools.deploy.libvirt import Libvirt
    from tools.deploy.openstack import OpenStack

    return {provider.NAME: provider for provider in (OpenStack, Libvirt, KubeVirt)}


def builds(command):
    """Whether a command of ./importos, ours or another, builds: what it needs is more then."""
    return command not in ASKING


def add_parsers(commands, made, parser_class, service):
    """Add our commands to those of ./importos; `made` has the options of a build."""

    def command(name, what, more=""):
        parser = commands.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}.")
        return parser.add_subparsers(
            dest="provider", metavar="PROVIDER", required=True, parser_class=parser_class
        )

    deploy = command("deploy", "build a service and boot it in a cloud")
    others = {
        "logs": command("logs", "show the console of machines that were deployed"),
        "stop": command("stop", "stop machines that were deployed, by their power button"),
        "list": command("list", "list the machines that were deployed"),
        "delete": command("delete", "delete machines that were deployed"),
    }
    for name, provider in providers().items():
        one = deploy.add_parser(
            name,
            parents=[made],
            help=provider.HELP,
            description=provider.HELP,
            epilog=provider.EPILOG,
        )
        one.add_argument("service", metavar="SERVICE", help=service)
        one.add_argument("--name", metavar="NAME", help="of the machine; default: the service's")
        one.add_argument(
            "--count", type=_positive, default=1, metavar="N", help="machines, NAME-1 to NAME-N"
        )
        one.add_argument("--wait", dest="wait", action="store_true", default=True)
        one.add_argument(
            "--no-wait", dest="wait", action="store_false", help="do not wait until they are ready"
        )
        one.add_argument(
            "--timeout",
            type=_positive,
            default=READY_TIMEOUT,
            metavar="SECONDS",
            help=f"how long to wait (default: {READY_TIMEOUT})",
        )
        one.add_argument(
            "--keep", action="store_true", help="keep machines that do not become ready"
        )
        one.add_argument("--no-build", action="store_true", help="deploy what was built last")
        provider.add_connection(one)
        provider.add_options(one)
        for verb, where in others.items():
            one = where.add_parser(name, help=provider.HELP)
            if verb == "stop":
                one.add_argument(
                    "--timeout",
                    type=_positive,
                    default=STOP_TIMEOUT,
                    metavar="SECONDS",
                    help=f"how long to wait (default: {STOP_TIMEOUT})",
                )
            one.add_argument(
                "names",
                nargs="*" if verb == "list" else "+",
                metavar="NAME",
                help="of a machine, or of a service: all of its machines",
            )
            provider.add_connection(one)


def _positive(text):
    if not text.isdigit() or int(text) < 1:
        raise ValueError
    return int(text)


_positive.__name__ = "number"  # argparse's "invalid number value"


def run(options, build):
    """Do a command; `build(options)` makes the images and returns their folder."""
    provider = providers()[options.provider](options)
    if options.command == "deploy":
        return deploy(provider, options, build)
    chosen = select(provider.instances(), options.names)
    if options.command == "list":
        show(chosen)
    for instance in chosen:
        if options.command == "logs":
            if len(chosen) > 1:
                tell(f"==> {instance.name} <==")
            text = provider.console(instance)
            if not text:
                tell(f"{instance.name}: nothing on its console ({instance.state})")
            sys.stdout.write(text)
        elif options.command == "stop":
            provider.stop(instance, options.timeout)
            tell(f"{instance.name}: off")
        elif options.command == "delete":
            provider.delete(instance)
            tell(f"{instance.name}: deleted")
    return 0


def deploy(provider, options, build):
    """Build, make the machines, wait until they are ready."""
    provider.check()
    options.cloud = True
    options.format = provider.FORMATS
    folder = build(options)
    built = Built(folder.name.removesuffix("-cloud"), folder)
    instances = provider.deploy(built, tell)
    if not options.wait or not instances:
        if instances:
            show(instances)
        return 0
    try:
        readiness.wait(provider, instances, options.timeout, tell)
    except BaseException:
        if options.keep:
            tell("kept as it is (--keep)")
        else:
            left = provider.withdraw()
            tell(f"left behind: {left}" if left else "what was made is removed")
        raise
    return 0


def select(instances, names):
    """The machines that are meant by names of machines and services; all where there are none."""
    if not names:
        return instances
    for name in names:
        if not any(name in (instance.name, instance.service) for instance in instances):
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


def tell(*words):
    """Progress, at once: also where the output is a file."""
    print(*words, flush=True)
