"""The wiring of the IPv4 stack as docs/net.md shows it, read from the delegates of a live one.

    PYTHONPATH=.:tools/cpython python3 -m tools.docs.wiring            write it into the page
    PYTHONPATH=.:tools/cpython python3 -m tools.docs.wiring --check    status 1 if the page is old

A delegate is a bound method in an attribute (or in a dict of slots) of another object.  Where it
leads is told by what it calls: `receive` is up, `send` and its like are down, all else is news.
"""

import sys
from pathlib import Path

from net.inet import Inet
from net.ip4 import igmp
from net.udp import Udp
from tests.support.wire import Host, World

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "net.md"
BEGIN, END = "<!-- wiring: tools/docs/wiring.py -->\n", "<!-- end of wiring -->\n"

UP = ("receive",)
DOWN = ("send", "transmit", "allocate", "fragment", "resolve", "output")


class Tcp:
    """As much of TCP as is wired from outside."""

    def __init__(self, stack):
        self.allocate = self.output = None

    def receive(self, packet):
        pass

    def unreachable(self, packet, kind):
        pass

    def path_mtu_changed(self, destination):
        pass


def stack():
    host = Host(World(), "nic", address="10.0.0.2/24")
    inet = Inet(host, udp=Udp, tcp=Tcp)
    igmp.use(inet)
    return inet


def parts(inet):
    """What is wired, by the names that the page uses."""
    first = inet.first
    found = {"nic": inet.nic, "interface": inet.interfaces[0], "ethernet": inet.ethernet}
    for name in ("arp", "ip4", "reassembly", "fragmentation", "icmp", "igmp"):
        found[name] = getattr(first, name)
    found.update({"udp": inet.udp, "tcp": inet.tcp, "interface4": first, "stack": inet})
    return found


def slots(owner):
    """(name, bound method) of every delegate of an object."""
    for name, value in vars(owner).items():
        if isinstance(value, dict):
            for key, inner in value.items():
                yield f"{name}[{key}]", inner
        else:
            yield name, value


def delegates(inet):
    """(from, to) of every delegate between two of the parts."""
    known = parts(inet)
    names = {id(part): name for name, part in known.items()}
    # The pool is the nic's, the urgent poll Ethernet's.
    names[id(inet.allocate.__self__)] = "nic"
    names[id(inet.nic.urgent_receive.__self__)] = "urgent"
    found = []
    for name, owner in known.items():
        if name in ("interface", "interface4", "stack"):
            continue
        for slot, method in slots(owner):
            target = getattr(method, "__self__", None)
            if target is not None and target is not owner and id(target) in names:
                found.append((f"{name}.{slot}", f"{names[id(target)]}.{method.__name__}"))
    return found


def direction(target):
    method = target.rpartition(".")[2]
    return 0 if method in UP else 1 if method in DOWN else 2


def drawing(inet):
    lines = []
    found = delegates(inet)
    for way, title in enumerate(("Frames rise", "Packets fall", "News travels sideways")):
        rows = [pair for pair in found if direction(pair[1]) == way]
        lines.append(f"{title}:")
        lines += [f"    {left:<33} {right}" for left, right in rows]
    return "```\n" + "\n".join(lines) + "\n```\n"


def page(text):
    """The page with the drawing of now."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + drawing(stack()) + END + after


def main(arguments):
    text = PAGE.read_text()
    new = page(text)
    if "--check" in arguments:
        if new != text:
            print("docs/net.md is old: python3 -m tools.docs.wiring", file=sys.stderr)
        return int(new != text)
    PAGE.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
