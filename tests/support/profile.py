"""Where the instructions of a request go, by function.

    python3 -m tests.support.profile build/echo/echo.elf ping
    python3 -m tests.support.profile build/echo/echo.elf 7 [HEX]     datagrams to port 7
    python3 -m tests.support.profile build/http/http.elf http        GET / on one connection
    python3 -m tests.support.profile build/http/http.elf visit       each on a connection of its own
    python3 -m tests.support.profile build/http/http.elf syn         SYNs of nobody, by cookies
    python3 -m tests.support.profile build/dns/dns.elf start         up to the first answer: both
                                        instructions and how many blocks QEMU had to translate
    ... callers     for each function of Python, with what C does for it
    ... offloads    the device takes checksums and segmentation

Runs the machine twice over TAP under a plugin of QEMU that counts (profile.c), with 500 and with
1,500 requests, one at a time; the difference is what 1,000 requests cost, wake-up and halt
included.
Frozen functions of Python appear by the names that they have in the image.
"""

import collections
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.support import load, syns, vm, web
from tests.support.instructions import ADDRESS, KERNEL, MAC, STATIC, Lab
from tests.support.namespace import Namespace

FEW, MANY = 500, 1500
BLOCKS = "blocks"  # the owner of numbers of blocks


class Counting(Lab):
    """A Lab whose machine runs under the plugin; without gdb's clock, so much faster."""

    def __init__(self, elf, arguments, offloads):
        self.namespace = Namespace()
        descriptor = self.namespace.tap(address=f"{KERNEL}/24", offloads=offloads)
        self.namespace.neighbour(ADDRESS, MAC)
        self.machine = vm.Machine(
            elf,
            nic=vm.Tap(descriptor),
            mac=MAC,
            command_line=STATIC,
            extra=("-plugin", arguments),
        )


def compile_plugin(folder):
    plugin = folder / "profile.so"
    source = Path(__file__).with_suffix(".c")
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", plugin, source], check=True)
    return plugin


def run(elf, what, payload, count, folder, offloads):
    """{(owner, function): instructions} of a machine that answered `count` requests; indices."""
    out = folder / f"spent-{count}"
    arguments = f"{compile_plugin(folder)},out={out},symbols={folder / 'symbols'}"
    with Counting(elf, arguments, offloads) as lab:
        ask = asker(lab, what, payload)
        for _ in range(count):
            assert ask(), lab.machine.text
            time.sleep(0.001)  # so that the machine has halted
        lab.machine.process.terminate()
        lab.machine.process.wait(10)
    spent = collections.Counter()
    for line in out.read_text().splitlines():
        owner, function, instructions = map(int, line.split())
        spent[owner, function] = instructions
    return spent


def asker(lab, what, payload):
    """ask() for what is to be profiled, when the machine has answered it once."""
    if what in ("http", "visit"):
        visit = web.visitor(lab, timeout=0.5)
        lab.first(visit)
        return visit if what == "visit" else web.getter(lab)
    if what == "syn":
        ask = syns.spoofer(lab)
    else:
        ask = lab.pinger() if what == "ping" else lab.asker(int(what), [payload])
    lab.first(ask)
    return ask


def symbols(elf, file):
    """Write the functions for the plugin; returns their names.  The first owns the firmware."""
    names = ["firmware"]
    lines = ["0 1"]
    for line in subprocess.check_output(["nm", "-n", elf], text=True).splitlines():
        address, kind, name = line.split(" ", 2)
        if kind in "tT" or name == "image_end":  # some of the firmware lies behind the image
            names.append("firmware" if name == "image_end" else readable(name))
            lines.append(f"{address} {int(name.startswith('fun_data_'))}")
    file.write_text("\n".join(lines))
    return [*names, BLOCKS]


def readable(name):
    """fun_data_net_icmp_Icmp_net_slash_icmp_dot_py2 -> net/ip4/icmp.py 3 (the file's third)."""
    match = re.fullmatch(r"fun_data_.*?(\w+?)_dot_py(\d*)", name)
    if match and "_slash_" in match[1]:
        folders = match[1].split("_slash_")
        first = folders[0].rsplit("_", 1)[-1]
        file = "/".join([first, *folders[1:]])
        return f"{file}.py {match[2] or 1}"
    return name.partition(".")[0]


def profile(elf, what, payload=b"..profile", offloads=False):
    """{(owner, function): instructions per request}, by name."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        names = symbols(elf, folder / "symbols")
        few = run(elf, what, payload, FEW, folder, offloads)
        many = run(elf, what, payload, MANY, folder, offloads)
    spent = collections.Counter()
    for pair in few.keys() | many.keys():
        owner, function = pair
        if names[owner] == BLOCKS:
            continue
        spent[names[owner], names[function]] += (many[pair] - few[pair]) / (MANY - FEW)
    return spent


def start(elf):
    """({function: instructions}, {function: blocks}) from its entry to the answer to one query."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        names = symbols(elf, folder / "symbols")
        counted = run(elf, "53", load.bench_queries(1)[0], 1, folder, False)
    spent, blocks = collections.Counter(), collections.Counter()
    for (owner, function), count in counted.items():
        if names[function] != "firmware":
            (blocks if names[owner] == BLOCKS else spent)[names[function]] += count
    return spent, blocks


def totals(spent, place):
    total = collections.Counter()
    for pair, cost in spent.items():
        total[pair[place]] += cost
    return total.most_common()


def main(arguments):
    options = {"callers", "offloads"} & set(arguments)
    elf, what, *rest = [word for word in arguments if word not in options]
    if what == "start":
        spent, blocks = start(Path(elf))
        print(f"{sum(spent.values()):10,} instructions and {sum(blocks.values()):,} blocks")
        for name, cost in spent.most_common():
            print(f"{cost:10,} {blocks[name]:5}  {name}")
        return
    payload = [bytes.fromhex(text) for text in rest]
    spent = profile(Path(elf), what, *payload, offloads="offloads" in options)
    print(f"{sum(spent.values()):8.0f}  guest instructions per request")
    for name, cost in totals(spent, 0 if "callers" in options else 1):
        if cost >= 1:
            print(f"{cost:8.0f}  {name}")
        if "callers" in options:
            parts = totals({pair: cost for pair, cost in spent.items() if pair[0] == name}, 1)
            parts = [f"{part} {cost:.0f}" for part, cost in parts if cost >= 20]
            if cost >= 100:
                print(f"{'':12}{', '.join(parts)}")


if __name__ == "__main__":
    main(sys.argv[1:])
