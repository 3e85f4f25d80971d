"""The measurements: `./importos bench [NAME ...]` prints a table, and writes JSON and a plot.

    bench/__init__.py   the rows: name, unit, what must and should be reached
    bench/measures.py   how each number comes about
    bench/plot.py       the table as a picture

Without names all rows are measured, which takes about ten minutes; `--quick` shortens the floods.
Figures are guest instructions or differences within one run wherever possible: seconds of a shared
machine say little.
"""

import json
import sys
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent
RESULTS = ROOT / "build" / "bench"


class Row(NamedTuple):
    """One number. Less is better, except where `more` says so."""

    name: str
    what: str
    unit: str
    must: float
    aim: float
    more: bool = False


ROWS = (
    Row("size", "dns.img without zone data, UDP over IPv4 alone", "bytes", 158_000, 120_000),
    Row("size-zone", "dns.img with the 10,000-record zone", "bytes", 300_000, 200_000),
    Row("memory", "smallest -m that serves the zone under load", "KiB", 8192, 3072),
    Row("boot", "guest instructions, entry to first answer", "insn", 15_000_000, 5_000_000),
    Row("start", "QEMU start to first answer, above an empty guest", "ms", 40, 15),
    Row("query", "guest instructions per DNS query", "insn", 20_000, 8_000),
    Row("ping", "guest instructions per ping", "insn", 9_000, 4_000),
    Row("heap", "heap bytes allocated per answered query", "bytes", 0, 0),
    Row("idle", "CPU ticks of QEMU in 10 idle seconds", "ticks", 1, 0),
    Row("flood", "1,000,000 queries: not answered", "queries", 0, 0),
    Row("malformed", "100,000 malformed frames: not accounted for", "frames", 0, 0),
    Row(
        "rate", "DNS queries answered per second, 20 outstanding", "1/s", 18_100, 44_700, more=True
    ),
    Row("segment", "TCP receive, guest instructions per full segment", "insn", 6_000, 2_500),
    Row("bulk-in", "bulk TCP from Linux, guest instructions per KiB", "insn", 1_500, 500),
    Row("bulk-out", "bulk TCP to Linux, guest instructions per KiB", "insn", 1_500, 500),
    Row("connections", "idle connections in 16 MB", "", 2_000, 10_000, more=True),
    Row("http", "HTTP page, keep-alive, guest instructions", "insn", 35_000, 15_000),
    Row("http-connect", "new connection, HTTP page, close", "insn", 150_000, 60_000),
    Row("http-heap", "heap bytes allocated per HTTP request", "bytes", 0, 0),
    Row("formats", "build of all formats of dns, a setting changed", "s", 10, 3),
    Row("qcow2", "file size of dns.qcow2", "bytes", 200_000, 120_000),
    Row("http-size", "http.img without the site", "bytes", 200_000, 150_000),
    Row("disk-read", "block reads of 4 KB to 1 MB, guest instructions", "insn", 12_000, 4_000),
    Row("disk-heap", "heap bytes allocated per block read", "bytes", 0, 0),
    Row("busy-ping", "ping while a callback computes, 99th percentile", "ms", 20, 2),
    Row("busy-connect", "new connection meanwhile, 99th percentile", "ms", 20, 2),
)


def verdict(row, value):
    """How far a value got: aim, must or missed."""

    def reaches(bound):
        return value >= bound if row.more else value <= bound

    return "aim" if reaches(row.aim) else "must" if reaches(row.must) else "missed"


def table(results):
    lines = [f"{'':52}{'must':>12}{'aim':>12}{'measured':>14}", "-" * 98]
    for row in ROWS:
        if row.name in results:
            value = results[row.name]["value"]
            lines.append(
                f"{row.what:52}{row.must:12,}{row.aim:12,}{value:14,.10g} {row.unit:7}"
                f" {verdict(row, value)}"
            )
            note = results[row.name].get("note")
            if note:
                lines.append(f"    {note}")
    return "\n".join(lines)


def main(arguments):
    """Measure the rows that were named; the exit status says whether all reach what they must."""
    if arguments in (["-h"], ["--help"]):
        print(__doc__)
        print("\n".join(f"  {row.name:10} {row.what}" for row in ROWS))
        return 0
    from tools.bench import measures, plot

    quick = "--quick" in arguments
    names = [argument for argument in arguments if not argument.startswith("-")]
    known = [row.name for row in ROWS]
    unknown = [name for name in names if name not in known]
    if unknown or set(arguments) - set(names) - {"--quick"}:
        print("usage: importos bench [--quick] [NAME ...]; names:", *known, file=sys.stderr)
        return 2
    results = {}
    for name in names or known:
        if name not in results:
            print(f"... {name}", file=sys.stderr, flush=True)
            results.update(measures.measure(name, quick))
    RESULTS.mkdir(parents=True, exist_ok=True)
    stamp = {"time": int(time.time()), "quick": quick, "results": results}
    (RESULTS / "results.json").write_text(json.dumps(stamp, indent=1) + "\n")
    (RESULTS / "results.svg").write_text(plot.picture(ROWS, results))
    print(table(results))
    print(f"\n{RESULTS.relative_to(ROOT)}/results.json, results.svg")
    rows = {row.name: row for row in ROWS}
    missed = [name for name in results if verdict(rows[name], results[name]["value"]) == "missed"]
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
