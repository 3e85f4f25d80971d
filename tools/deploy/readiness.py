"""When a machine is ready: the line that says so on its console, and waiting for it.

The line is written once the service's `start` has returned and the machine has its addresses
(docs/runtime.md): `[    0.031] ready: dns 10.0.2.15 fe80::5054:ff:fe12:3456`.
"""

import re
import time

from tools.errors import UserError

MARKER = re.compile(r"^\[ *\d+\.\d{3}\] ready: (\S+)((?: \S+)*)\s*$", re.M)
POLL = 0.5  # seconds: each look costs the cloud about a tenth of one
TAIL = 12  # lines of the console shown where a machine does not become ready


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
                tell(tail(text))
                raise UserError(f"{instance.name}: {what} (the end of its console is above)")
        if not waiting:
            return
        sleep(POLL)


def tail(text):
    """The end of a console log, without what a terminal would obey."""
    lines = [
        re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|[^\t\x20-\x7e]", "", line) for line in text.split("\n")
    ]
    lines = [f"    {line}" for line in lines if line.strip()][-TAIL:]
    return "\n".join(lines or ["    (nothing was written to the console)"])
