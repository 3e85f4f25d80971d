"""The zone compiler: what it refuses, how large the table is, and that every name is in it."""

from random import Random
from unittest import mock

import deflate
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.dns import table
from services.dns.responder import WORK
from tests.conftest import ROOT
from tools.errors import UserError
from tools.image.disk import LZMA, compress
from tools.zone import index
from tools.zone.compile import compile_zone, compile_zones
from tools.zone.parse import parse_zone

HEAD = "$ORIGIN example.\n$TTL 60\n@ SOA ns host 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n"


def write(folder, text, name="test.zone"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("www A 192.0.2.256", "the data of the record is malformed: www A 192.0.2.256"),
        ("www A", "expecting an identifier"),
        ("www NOTYPE 1", "unknown rdatatype 'NOTYPE'"),
        ("www.other. A 192.0.2.1", "www.other. is out of zone data: the zone is example."),
        ("ns CNAME www", "CNAME and other data (A) for ns.example. (RFC 1034 section 3.6.2)"),
        ("c CNAME a\nc CNAME b", "a second CNAME for c.example."),
        ("sub SOA ns host 1 2 3 4 5", "a second SOA, for sub.example.; the zone is example."),
        ("@ SOA ns host 2 2 3 4 5", "a second SOA for example."),
        ("old DNAME new", "DNAME is not supported"),
        ("* NS ns", "NS for a wildcard, *.example. (RFC 4592 section 4.2)"),
        ("www TYPE252 \\# 0", "AXFR is not a type of zone data"),
        ("www 4294967295 A 192.0.2.1", "TTL 4294967295 is above 2147483647"),
        ("www CH A 192.0.2.1", "RR class is not zone's class"),
        ("x" * 64 + " A 192.0.2.1", "a DNS label is > 63 octets long"),
        (".".join(["x" * 60] * 5) + " A 192.0.2.1", "a DNS name is > 255 octets long"),
        ("$INCLUDE other.zone", "zone file directive '$INCLUDE' is not allowed"),
        ('www TXT "open', "newline in quoted string"),
    ],
)
def test_an_error_is_one_line_with_file_line_and_reason(tmp_path, line, reason):
    path = write(tmp_path, HEAD + line + "\nafter A 192.0.2.2\n")
    with pytest.raises(UserError) as caught:
        compile_zone(path)
    place, text = str(caught.value).split(": ", 1)
    assert "\n" not in text
    assert place == f"{path}:{6 + line.count(chr(10))}"
    assert reason.lower() in text.lower()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no SOA"),
        ("$ORIGIN example.\n$TTL 60\n@ NS ns\n", "no SOA"),
        ("$ORIGIN example.\n$TTL 60\n@ SOA ns host 1 2 3 4 5\n", "has no NS record"),
        ("@ 60 SOA ns host 1 2 3 4 5\n", "1: a relative name, and no $ORIGIN before it"),
        ("example. 60 SOA ns. host 1 2 3 4 5\n", "1: a relative name, and no $ORIGIN before it"),
        ("$ORIGIN example.\nwww A 192.0.2.1\n", "2: Missing default TTL value"),
        ("$ORIGIN example.\n$TTL x\n", "2: "),
        ("$ORIGIN example.\n@ 60 SOA ns host (\n1 2 3\n", "2: unbalanced parentheses"),
    ],
)
def test_a_zone_file_that_is_no_zone_is_refused(tmp_path, text, reason):
    with pytest.raises(UserError) as caught:
        compile_zone(write(tmp_path, text))
    assert reason in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path}/test.zone:")


def test_a_missing_and_a_binary_file_are_refused(tmp_path):
    with pytest.raises(UserError, match="No such file"):
        compile_zone(tmp_path / "none.zone")
    (tmp_path / "binary.zone").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="not a text file"):
        compile_zone(tmp_path / "binary.zone")


def test_absolute_names_need_no_origin(tmp_path):
    text = "Example. 60 IN SOA ns.example. h.example. 1 2 3 4 5\nexample. 60 NS ns.example.\n"
    assert parse_zone(write(tmp_path, text)).origin.to_text() == "example."


def test_the_zone_of_the_benchmark_is_small():
    data = compile_zone(ROOT / "services" / "zones" / "bench.zone")
    assert len(data) < 200_000
    assert len(deflate.deflate_compress(data, 12)) < 7_000
    assert len(compress(data, LZMA)) < 3_500


def test_equal_zones_give_equal_tables(tmp_path):
    lines = [f"host{n} A 192.0.2.{n}" for n in range(100)]
    one = compile_zone(write(tmp_path, HEAD + "\n".join(lines) + "\n"))
    other = compile_zone(write(tmp_path, HEAD + "\n".join(reversed(lines)) + "\n"))
    assert one == other


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", "version"), (b"IOZ\x00" + bytes(100), "version"), (None, "cut short")],
)
def test_a_table_of_another_version_is_refused(tmp_path, data, reason):
    if data is None:
        data = compile_zone(write(tmp_path, HEAD))[:-1]
    with pytest.raises(ValueError, match=reason):
        table.Table(data, bytearray(WORK))


class Walk:
    """Table.find for names as tuples of labels, the topmost first."""

    def __init__(self, data, zone=0):
        self.work = bytearray(WORK)
        self.table = table.Table(data, self.work)
        self.head = memoryview(data[: len(data) // 4 * 4]).cast("I")
        self.zone = self.head[table.DIRECTORY] + table.ZONE * zone

    def word(self, index):
        return int.from_bytes(self.work[4 * index : 4 * index + 4], "little")

    def __call__(self, labels, through=1):
        """(node, labels without a node, cut)."""
        wire = b"".join(bytes((len(label),)) + label for label in reversed(labels)) + b"\0"
        at = 0
        for i, label in enumerate(reversed(labels)):
            self.work[table.STARTS + i] = at
            at += 1 + len(label)
        apex = self.head[self.zone + table.APEX]
        node = self.table.find(wire, 0, len(labels), apex, through)
        return node, self.word(table.FOUND_LEFT), self.word(table.FOUND_CUT)


labels = st.binary(min_size=1, max_size=63) | st.sampled_from([b"a", b"b", b"*", b"A" * 63, b"\0"])
paths = (
    st.lists(labels, min_size=1, max_size=4)
    .map(tuple)
    .filter(lambda path: sum(map(len, path)) + len(path) < 240)
)


def text_of(label):
    return "".join(f"\\{byte:03}" for byte in label)


# Labels that share a slot, and labels that follow each other in the table but do not.
counted = st.tuples(
    st.sampled_from([b"a", b"n", b"abcdef"]), st.integers(0, 99), st.sampled_from([b"%d", b"%02x"])
).map(lambda parts: (parts[0] + parts[2] % parts[1],))
some = st.lists(paths | counted, max_size=40)


@pytest.mark.parametrize("low", index.LOWS)
@settings(max_examples=100, deadline=None)
@given(some, some)
def test_every_name_is_found_and_no_other(tmp_path_factory, low, present, absent):
    owners = [".".join(map(text_of, reversed(path))) for path in present]
    text = HEAD + "".join(f"{owner} A 192.0.2.1\n" for owner in owners)
    with mock.patch.object(index, "LOWS", (low,)):
        data = compile_zone(write(tmp_path_factory.mktemp("zone"), text))
    exists = {path[:length] for path in present for length in range(len(path) + 1)}
    exists = {tuple(map(bytes.lower, path)) for path in exists} | {(), (b"ns",)}
    walk = Walk(data)
    nodes = {}
    for path in exists:
        for spelled in (path, tuple(map(bytes.upper, path))):
            node, left, cut = walk(spelled)
            assert (left, cut) == (0, 0)
            assert nodes.setdefault(path, node) == node
    assert len(set(nodes.values())) == len(exists)
    for path in absent:
        path = tuple(map(bytes.lower, path))
        node, left, _ = walk(path)
        known = max(n for n in range(len(path) + 1) if path[:n] in exists)
        assert left == len(path) - known
        assert node == nodes[path[:known]]


def by_length(label):
    """As the compiler numbers the nodes of one shape."""
    return len(label), label


def best_index(labels):
    """(the index of these labels below one parent, probes of a search for one of them)."""
    names = [
        (index.table.FIRST_NODE + n, 1, label)
        for n, label in enumerate(sorted(labels, key=by_length))
    ]
    best = index.best_index(names, 2)
    return best, best.probes / len(names)


@pytest.mark.parametrize("spelling", ["host%04d", "%d", "pool-%d-%d", "x%04x"])
def test_names_that_are_counted_cost_a_slot_for_ten(spelling):
    numbers = [(n >> 8, n & 255)[-spelling.count("%") :] for n in range(1 << 13)]
    numbers = [number if len(number) > 1 else (n,) for n, number in enumerate(numbers)]
    best, probes = best_index({(spelling % number).encode() for number in numbers})
    assert best.low == index.LOWS[1]
    assert len(compress(best.column, LZMA)) < 3_500
    assert probes < 1.3
    assert best.longest() < 20


def gaps():
    return {b"host%d" % n for n in range(0, 16_384, 2)}


def random_names():
    return {Random(n).randbytes(8).hex().encode() for n in range(8_000)}


@pytest.mark.parametrize("labels", [gaps, random_names])
def test_names_with_gaps_do_not_queue_up_behind_one_slot(labels):
    best, probes = best_index(labels())
    assert probes < 1.6
    assert best.longest() < 48


def test_many_names_and_many_shapes(tmp_path):
    """Numbers of nodes beyond 16 bits, and of families beyond 8: a third plane, a second one."""
    count = 66_000
    lines = [f"n{n} {n % 700 + 1} A 10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in range(count)]
    data = compile_zone(write(tmp_path, HEAD + "\n".join(lines) + "\n"))
    walk = Walk(data)
    assert walk.head[table.WIDE] == 1
    assert walk.head[table.MANY] == 1
    nodes = {walk((b"n%d" % n,))[:2] for n in range(0, count, 7)}
    assert len(nodes) == len(range(0, count, 7))
    assert {left for _, left in nodes} == {0}
    assert walk((b"n66000",))[1] == 1


def test_several_zones_share_a_table(tmp_path):
    one = write(tmp_path, HEAD, "one.zone")
    other = write(tmp_path, HEAD.replace("example.", "sub.example."), "other.zone")
    data = compile_zones([one, other])
    # The deeper origin first.
    assert Walk(data).head[table.ZONES] == 2
    origins = [Walk(data, n).head[Walk(data, n).zone + table.ORIGIN_LABELS] for n in (0, 1)]
    assert origins == [2, 1]
    assert Walk(data, 0)((b"ns",))[0] != Walk(data, 1)((b"ns",))[0]
    with pytest.raises(UserError, match="is there twice"):
        compile_zones([one, one])
