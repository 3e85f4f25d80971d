"""iperf3 against services/stream in the machine, with and without offloads."""

import json

import pytest

from tests.support import images
from tests.support.target import ADDRESS, ADDRESS6, SERVICE, Target

pytestmark = pytest.mark.timeout(1200)  # the first one builds the image

MEASURES = {
    "to it": "",
    "from it": "-R",
    "four streams to it": "-P 4",
    "four streams from it": "-P 4 -R",
    "both ways": "--bidir",
    "both ways twice": "-P 2 --bidir",
    "small segments to it": "-M 536",
    "small segments from it": "-M 536 -R",
    "a small window of ours": "-w 4K",
    "a small window of theirs": "-w 4K -R",
    "small writes": "-l 64 -N",
    "datagrams to it": "-u -b 20M -l 1400",
    "datagrams from it": "-u -b 20M -l 1400 -R",
    "datagrams both ways twice": "-u -b 5M -l 1400 --bidir -P 2",
}


@pytest.fixture(params=[True, False], ids=["offloads", "plain"])
def target(request):
    with Target(images.build(SERVICE) / "target.elf", offloads=request.param) as made:
        yield made


def measure(target, words, seconds, address=ADDRESS):
    """Megabits a second that arrived; `seconds`: None for 4 MB, which over TCP is less."""
    amount = ["-t", seconds or 1] if seconds or "-u" in words else ["-n", "4M"]
    command = ["-J", *amount, "-c", address, *words.split()]
    done = target.namespace.run("iperf3", *command, check=False, timeout=300)
    results = json.loads(done.stdout)
    assert done.returncode == 0 and "error" not in results, (words, done.stdout[-800:])
    end = results["end"]
    total = end.get("sum_received") or end["sum"]
    assert total["bytes"] > 0, (words, end)
    if "-u" in words:
        assert total["lost_percent"] < 5, (words, end)
    return total["bits_per_second"] / 1e6


def every(target, seconds):
    measure(target, "-P 4 --bidir", seconds)  # what is taken once
    before = target.rests(target.look(), but=("time_wait",))
    for name, words in MEASURES.items():
        print(f"{name}: {measure(target, words, seconds):.1f} Mbit/s")
    for words in ("", "-R"):
        measure(target, words, seconds, ADDRESS6)
    # Chunks and segments that were made are kept for the next.
    target.rests(before, but=("time_wait",), heap=1_000_000)
    target.serves()


def test_every_way_to_measure(target):
    every(target, None)


@pytest.mark.stress
def test_every_way_to_measure_for_long(target):
    every(target, 20)
