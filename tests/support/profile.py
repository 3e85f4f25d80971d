"""Where the instructions of a request go, by function.

    python3 -m tests.support.profile build/echo/echo.elf ping
    python3 -m tests.support.profile build/echo/echo.elf 7 [HEX]     datagrams to port 7
    python3 -m tests.support.profile build/http/http.elf http        GET / on one connection
    python3 -m tests.support.profile build/http/http.elf visit       each on a connection of its own

Runs the machine twice over TAP under a plugin of QEMU that counts (profile.c), with 500 and with
1,500 requests, one at a time; the difference is what 1,000 requests cost, wake-up and halt
included.
Frozen functions of Python appear by the names that they have in the image.
"""

import bisect
import collections
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.support import vm, web
from tests.support.instructions import ADDRESS, KERNEL, MAC, STATIC, Lab
from tests.support.namespace import Namespace

FEW, MANY = 500, 1500


class Counting(Lab):
    """A Lab whose machine runs under the plugin; without gdb's clock, so much faster."""

    def __init__(self, elf, plugin, out):
        self.namespace = Namespace()
        descriptor = self.namespace.tap(address=f"{KERNEL}/24")
        self.namespace.neighbour(ADDRESS, MAC)
        self.machine = vm.Machine(
            elf,
            nic=vm.Tap(descriptor),
            mac=MAC,
            command_line=STATIC,
            extra=("-plugin", f"{plugin},out={out}"),
        )


def compile_plugin(folder):
    plugin = folder / "profile.so"
    source = Path(__file__).with_suffix(".c")
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", plugin, source], check=True)
    return plugin


def run(elf, what, payload, count, folder):
    """{(address, instructions): runs} of a machine that answered `count` requests."""
    out = folder / f"blocks-{count}"
    with Counting(elf, compile_plugin(folder), out) as lab:
        ask = asker(lab, what, payload)
        for _ in range(count):
            assert ask(), lab.machine.text
            time.sleep(0.001)  # so that the machine has halted
        lab.machine.process.terminate()
        lab.machine.process.wait(10)
    blocks = collections.Counter()
    for line in out.read_text().splitlines():
        address, instructions, runs = line.split()
        blocks[int(address, 16), int(instructions)] += int(runs)
    return blocks


def asker(lab, what, payload):
    """ask() for what is to be profiled, when the machine has answered it once."""
    if what in ("http", "visit"):
        visit = web.visitor(lab, timeout=0.5)
        lab.first(visit)
        return visit if what == "visit" else web.getter(lab)
    ask = lab.pinger() if what == "ping" else lab.asker(int(what), [payload])
    lab.first(ask)
    return ask


def symbols(elf):
    """Sorted addresses, and their names."""
    found = []
    for line in subprocess.check_output(["nm", "-n", elf], text=True).splitlines():
        address, kind, name = line.split(" ", 2)
        if kind in "tT":
            found.append((int(address, 16), readable(name)))
    return [address for address, _ in found], [name for _, name in found]


def readable(name):
    """fun_data_net_icmp_Icmp_net_slash_icmp_dot_py2 -> net/ip4/icmp.py 3 (the file's third)."""
    match = re.fullmatch(r"fun_data_.*?(\w+?)_dot_py(\d*)", name)
    if match and "_slash_" in match[1]:
        folders = match[1].split("_slash_")
        first = folders[0].rsplit("_", 1)[-1]
        file = "/".join([first, *folders[1:]])
        return f"{file}.py {match[2] or 1}"
    return name.partition(".")[0]


def profile(elf, what, payload=b"..profile"):
    """Pairs (instructions per request, function), the most expensive first."""
    with tempfile.TemporaryDirectory() as folder:
        few = run(elf, what, payload, FEW, Path(folder))
        many = run(elf, what, payload, MANY, Path(folder))
    addresses, names = symbols(elf)
    total = collections.Counter()
    for block in few.keys() | many.keys():
        place = bisect.bisect_right(addresses, block[0]) - 1
        name = names[place] if place >= 0 else "firmware"
        total[name] += (many[block] - few[block]) * block[1]
    return [(count / (MANY - FEW), name) for name, count in total.most_common()]


def main(arguments):
    elf, what, *rest = arguments
    rows = profile(Path(elf), what, *[bytes.fromhex(text) for text in rest])
    print(f"{sum(cost for cost, _ in rows):8.0f}  guest instructions per request")
    for cost, name in rows:
        if cost >= 1:
            print(f"{cost:8.0f}  {name}")


if __name__ == "__main__":
    main(sys.argv[1:])
