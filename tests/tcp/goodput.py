"""How well recovery does: a megabyte over wires of 20 ms that lose frames, in virtual time.

build/venv/bin/python -m tests.tcp.goodput
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools" / "cpython")]

from tests.support.wire import Lossy  # noqa: E402
from tests.tcp.peer import pattern  # noqa: E402
from tests.tcp.test_matrix import Pair  # noqa: E402

SIZE = 1_000_000
SEEDS = range(5)


def run(drop, kind, reno, seed):
    """(ms, retransmissions, timeouts, fast retransmits); acknowledgements are lost, too."""
    pair = Pair(lambda nic: Lossy(nic, drop=drop, seed=seed), kind, reno, delay=10, packets=256)
    start = pair.world.time
    _, far = pair.transfer(pattern(SIZE))
    assert far.length == SIZE
    counters = pair.hosts[0].inet.counters
    names = ("retransmits", "timeouts", "fast_retransmits")
    return [pair.world.time - start] + [counters["tcp." + name] for name in names]


def main():
    print("| loss | | KB/s | sent again | timeouts | fast retransmits |")
    print("|---|---|---|---|---|---|")
    for drop in (0, 0.001, 0.01, 0.05):
        for kind, reno in (("both", False), ("both", True), ("plain", False), ("plain", True)):
            rows = [run(drop, kind, reno, seed) for seed in (SEEDS if drop else [0])]
            ms, again, timeouts, fast = [sum([r[i] for r in rows]) / len(rows) for i in range(4)]
            name = f"{'SACK' if kind == 'both' else 'no SACK'}, {'Reno' if reno else 'CUBIC'}"
            rate = f"{SIZE / ms:.0f}"
            print(f"| {drop:.1%} | {name} | {rate} | {again:.1f} | {timeouts:.1f} | {fast:.1f} |")


if __name__ == "__main__":
    main()
