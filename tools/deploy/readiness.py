"""Waiting: until machines are ready, until they are off, for more on their consoles.

A machine is ready when the line is on its console that is written once the service's `start` has
returned and the machine has its addresses (docs/runtime.md):
`[    0.031] ready: dns 10.0.2.15 fe80::5054:ff:fe12:3456`.
"""

import re
import time

from tools.errors import UserError

MARKER = re.compile(r"^\[ *\d+\.\d{3}\] ready: (\S+)((?: \S+)*)\s*$", re.M)
POLL = 0.5  # seconds: each look costs the cloud about a tenth of one
TAIL = 12  # lines of the console shown where a machine does not become ready
KNOWN = 256  # characters by which the end of a console is found again in a later look


def find(text):
    """(name, addresses) of the last marker in a console log, or None."""
    found = MARKER.findall(text.replace("\r", ""))
    return (found[-1][0], found[-1][1].split()) if found else None


def wait(provider, instances, timeout, tell, clock=time.monotonic, sleep=time.sleep):
    """Wait until all machines are ready; their addresses become those that they say."""
    start = clock()
    waiting = list(instances)
    while True:
        for instance in list(waiting):
            text = provider.console(instance)
            ready = find(text)
            if ready:
                waiting.remove(instance)
                instance.addresses = ready[1] or instance.addresses
                tell(f"{instance.name}: ready after {clock() - start:.1f} s", *instance.addresses)
                continue
            instance.state = provider.refresh(instance).state
            late = clock() - start > timeout
            if late or instance.state in provider.FAILED:
                what = f"not ready after {timeout:g} s" if late else instance.state
                if instance.state == provider.OFF:
                    what = f"{instance.state}, it has ended by itself"
                tell(tail(text))
                raise UserError(f"{instance.name}: {what} (the end of its console is above)")
        if not waiting:
            return
        sleep(POLL)


def off(provider, instances, timeout, tell, clock=time.monotonic, sleep=time.sleep):
    """Press all power buttons, and wait until the machines are off; says why one is not."""
    start = clock()
    waiting, refused = [], []
    for instance in instances:
        try:
            if instance.state != provider.OFF:
                provider.press(instance)
            waiting.append(instance)
        except UserError as error:
            refused.append(str(error))
    while waiting:
        for instance in list(waiting):
            try:
                state = provider.refresh(instance).state
            except UserError as error:
                refused.append(str(error))
                waiting.remove(instance)
                continue
            if state == provider.OFF:
                tell(f"{instance.name}: off")
                waiting.remove(instance)
            elif clock() - start > timeout:
                hint = provider.HARDER.format(instance.name)
                refused.append(
                    f"{instance.name}: not off after {timeout:g} s, but {state}"
                    + (f"; {hint}" if hint else "")
                )
                waiting.remove(instance)
        if waiting:
            sleep(POLL)
    all_or_error(refused, tell)


def all_or_error(refused, tell):
    """What went wrong with some of several machines: all but the last are said here."""
    for text in refused[:-1]:
        tell(text)
    if refused:
        raise UserError(refused[-1])


def follow(provider, instances, write, sleep=time.sleep):
    """Show consoles, and what is added to them, until no machine runs any more."""
    seen = {instance.name: "" for instance in instances}
    running = list(instances)
    while running:
        for instance in list(running):
            state = provider.refresh(instance).state
            text = provider.console(instance)
            piece = added(seen[instance.name], text)
            if len(instances) > 1 and piece:
                head, last = f"{instance.name}: ", "\n" * (not piece.endswith("\n"))
                piece = "".join(head + line for line in piece.splitlines(keepends=True)) + last
            write(piece)
            seen[instance.name] = text or seen[instance.name]
            if state in provider.FAILED:
                running.remove(instance)
        if running:
            sleep(POLL)


def added(before, now):
    """What a console says that it did not say before: all of it where it began anew.

    Clouds keep the end of a long one only, so what was seen may have lost its beginning.
    """
    if now.startswith(before):
        return now[len(before) :]
    at = now.rfind(before[-KNOWN:])
    return now if at < 0 else now[at + len(before[-KNOWN:]) :]


def tail(text):
    """The end of a console log, without what a terminal would obey."""
    lines = [
        re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|[^\t\x20-\x7e]", "", line) for line in text.split("\n")
    ]
    lines = [f"    {line}" for line in lines if line.strip()][-TAIL:]
    return "\n".join(lines or ["    (nothing was written to the console)"])
