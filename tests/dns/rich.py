"""The rich zone: rich.zone, and the lines that are too many or too long to write by hand."""

from pathlib import Path

ORIGIN = "rich.example."
HAND_WRITTEN = Path(__file__).with_name("rich.zone")
LONGEST = ".".join(("a" * 62 + "1", "b" * 62 + "2", "c" * 62 + "3", "d" * 48))
DEEPEST = "aa" + 119 * ".a"


def rich_zone():
    """The text of the zone file."""
    lines = [HAND_WRITTEN.read_text(encoding="utf-8")]
    # RRsets around the limits of 512 and 1,232 bytes, and far above them.
    for count in (3, 28, 29, 30, 31, 40, 73, 74, 75, 76, 100):
        lines += [f"size{count} A 198.51.100.{n}" for n in range(count)]
    for count in (15, 16, 17, 18, 40, 41, 42, 43, 60):
        lines += [f"six{count} AAAA 2001:db8:2::{n:x}" for n in range(count)]
    for count in (400, 460, 470, 480, 1180, 1190, 2000, 4000):
        text = "x" * count
        parts = [text[i : i + 200] for i in range(0, count, 200)]
        lines.append(f"text{count} TXT " + " ".join(f'"{part}"' for part in parts))
    lines += [f"manymx MX {n} mx{n}.manymx" for n in range(20)]
    lines += [f"mx{n}.manymx A 198.51.100.{n}" for n in range(20)]
    # A delegation whose glue does not fit 512 bytes, and a chain of aliases.
    lines += [f"bulky NS ns{n}.bulky" for n in range(13)]
    lines += [f"ns{n}.bulky AAAA 2001:db8:1::{n:x}" for n in range(13)]
    lines += [f"chain{n} CNAME chain{n + 1}" for n in range(8)] + ["chain8 A 192.0.2.90"]
    # Labels of 63 bytes, 120 labels, names of 255 bytes.
    lines += ["e" * 63 + " A 192.0.2.70", f"{LONGEST} A 192.0.2.71", f"{DEEPEST} A 192.0.2.72"]
    lines += [f"tolongest CNAME {LONGEST}", f"mxdeepest MX 1 {DEEPEST}"]
    return "\n".join(lines) + "\n"
