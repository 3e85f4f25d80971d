"""The kept corpus does no harm, and neither does what the fuzzer finds in a few seconds."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.world import play

ROOT = Path(__file__).resolve().parent.parent.parent
CORPUS = ROOT / "tests" / "fuzz" / "corpus"
SECONDS = int(os.environ.get("FUZZ_SECONDS", "15"))


def test_the_corpus_is_there():
    assert len(list(CORPUS.iterdir())) > 20


def test_every_input_of_the_corpus_is_survived():
    for path in sorted(CORPUS.iterdir()):
        play(path.read_bytes())


@pytest.mark.wire
def test_the_fuzzer_finds_nothing_in_its_time(tmp_path):
    """FUZZ_SECONDS says how long: 15 by default."""
    command = [sys.executable, "-m", "tests.fuzz.receive", f"-max_total_time={SECONDS}"]
    done = subprocess.run(
        [*command, "-print_final_stats=1", tmp_path, CORPUS],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS + 90,
    )
    assert done.returncode == 0, done.stdout[-4000:]
