"""Fuzzing by coverage of all that a frame can reach: Ethernet, ARP, both IPs, ICMP, UDP, TCP.

    build/venv/bin/python -m tests.fuzz.receive -max_total_time=3600 build/fuzz tests/fuzz/corpus

libFuzzer's options (atheris); new inputs go to the first folder.  An input that fails lies in
build/fuzz/, and goes into tests/fuzz/corpus once the bug is gone: test_fuzz.py plays all of it.

    build/venv/bin/python -m tests.fuzz.receive -merge=1 tests/fuzz/corpus build/fuzz

keeps of new inputs those that reach something new.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools" / "cpython")]

import atheris  # noqa: E402

with atheris.instrument_imports(include=["net", "runtime"]):
    import net.dual
    import net.tcp
    import net.udp.udp  # noqa: F401

from tests.fuzz.world import play  # noqa: E402


def main():
    folder = ROOT / "build" / "fuzz"
    folder.mkdir(parents=True, exist_ok=True)
    options = [f"-artifact_prefix={folder}/", "-max_len=4096", "-timeout=20"]
    # By this name libFuzzer starts itself again (-merge, -jobs).
    name = f"{sys.executable} {Path(__file__).resolve()}"
    atheris.Setup([name, *options, *sys.argv[1:]], play)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
