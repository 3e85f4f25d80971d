"""What reading a disk costs: guest instructions and heap per request, by size and order.

    python3 -m tests.support.disk_cost [WINDOW]             all sizes
    python3 -m tests.support.disk_cost profile [WINDOW]     4 KB at random: by function
    ... viper       the callback, which asks for the next request, is machine code

The machine of tests/support/disk_meter.py reads a file of 64 MB, WINDOW requests under way at a
time (1: each request has a wake-up and a halt of its own), under the plugin of profile.py, twice;
the difference is what the requests cost, with their callback.
"""

import collections
import re
import sys
import tempfile
from pathlib import Path

from tests.support import images, profile, vm

DISK = 64 << 20
SIZES = (4, 16, 64, 256, 1024)  # KB
ORDERS = ("sequential", "random")
FEW, MANY, BYTES = 100, 5100, 1 << 30  # requests of a run; what it reads at most


def build():
    return images.build(str(images.ROOT / "tests/support/disk_meter.py")) / "disk_meter.elf"


def run(elf, folder, settings):
    """({(owner, function): instructions}, heap bytes) of a machine; indices of symbols."""
    disk = folder / "disk.img"
    with disk.open("wb") as file:
        file.truncate(DISK)
    out = folder / "spent"
    arguments = f"{profile.compile_plugin(folder)},out={out},symbols={folder / 'symbols'}"
    drive = f"driver=raw,node-name=d0,file.driver=file,file.filename={disk}"
    extra = ("-plugin", arguments, "-blockdev", drive, "-device", "virtio-blk-pci,drive=d0")
    with vm.Machine(elf, command_line=settings, extra=extra) as machine:
        machine.wait(60)
        took = re.search(r"took (-?\d+)\n", machine.text)
        assert took, machine.text + machine.errors()
    spent = collections.Counter()
    for line in out.read_text().splitlines():
        owner, function, instructions = map(int, line.split())
        spent[owner, function] = instructions
    return spent, int(took[1])


def cost(elf, size, order, window=1, callback="bytecode"):
    """({(owner, function): instructions}, heap bytes) per request."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        names = profile.symbols(elf, folder / "symbols")
        settings = f"size={size} order={order} window={window} callback={callback} count="
        most = max(min(MANY, BYTES // (size << 10)), 10 * FEW)
        few, before = run(elf, folder, settings + str(FEW))
        many, after = run(elf, folder, settings + str(most))
    more = most - FEW
    spent = collections.Counter()
    for pair in few.keys() | many.keys():
        owner, function = pair
        spent[names[owner], names[function]] += (many[pair] - few[pair]) / more
    return spent, (after - before) / more


def main(*arguments):
    elf = build()
    words = [word for word in arguments if word.isdigit()]
    window = int(words[0]) if words else 1
    callback = "viper" if "viper" in arguments else "bytecode"
    if "profile" in arguments:
        spent, _ = cost(elf, 4, "random", window, callback)
        print(f"{sum(spent.values()):8.0f}  guest instructions per request")
        for name, instructions in profile.totals(spent, 1):
            if instructions >= 10:
                print(f"{instructions:8.0f}  {name}")
        return
    print(f"{'KB':>6}{'order':>12}{'instructions':>14}{'heap bytes':>12}")
    for size in SIZES:
        for order in ORDERS:
            spent, heap = cost(elf, size, order, window, callback)
            print(f"{size:6}{order:>12}{sum(spent.values()):14,.0f}{heap:12,.2f}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
