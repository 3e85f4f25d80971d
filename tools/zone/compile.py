"""Compile zone files into the table in which services/dns looks names up.

The layout is drawn in services/dns/table.py.  What is decided here, once, is not decided per query:
which names exist, where zone cuts and wildcards are, how rdata is spelled.

    zone file -> parse.py -> nodes -> families and shapes -> columns, planes, index.py -> bytes

Equal input gives equal bytes.
"""

import itertools
import struct
from dataclasses import dataclass

from dns.rdataclass import IN
from dns.rdatatype import AAAA, CNAME, MX, NS, PTR, SOA, SRV, A

from tools.errors import UserError
from tools.zone.index import best_index, column
from tools.zone.layout import table
from tools.zone.parse import parse_zone

SOURCES = ("services/dns/table.py",)  # the layout; the build watches it

EDGE = (0,) * table.FIRST_NODE  # the entries of a column before the first node, and behind the last
MOST = (1 << 24) - 2 * len(EDGE)  # nodes

FORMS = {  # type: bytes before the first name, the fields that are names, flags
    NS: (0, ("target",), table.FORM_COMPRESS | table.FORM_ADDITIONAL),
    CNAME: (0, ("target",), table.FORM_COMPRESS),
    PTR: (0, ("target",), table.FORM_COMPRESS),
    SOA: (0, ("mname", "rname"), table.FORM_COMPRESS),
    MX: (2, ("exchange",), table.FORM_COMPRESS | table.FORM_ADDITIONAL),
    SRV: (6, ("target",), table.FORM_ADDITIONAL),  # RFC 2782: not compressed
}
FIXED = {A: 4, AAAA: 16}
FIXED_MAX = 64  # bytes of an RRset that still go into planes


def compile_zone(path):
    """The table of the zone in the file at `path`."""
    return compile_zones([path])


def compile_zones(paths):
    """One table for several zones."""
    zones = [parse_zone(path) for path in paths]
    origins = [zone.origin for zone in zones]
    for path, origin in zip(paths, origins, strict=True):
        if origins.count(origin) > 1:
            raise UserError(f"{path}: the zone {origin} is there twice")
    # The zone that is deeper in the tree is the better match for a name in both.
    return _Layout(sorted(zones, key=lambda zone: -len(zone.origin.labels))).bytes()


@dataclass
class Node:
    """A name that exists.  `labels`: those below the origin, in lower case, the topmost first."""

    zone: int
    labels: tuple
    rrsets: dict
    shape: bytes = b""
    rdata: tuple = ()  # per RRset: (True, its bytes for the planes) or (False, its heap entry)

    @property
    def label(self):
        return self.labels[-1] if self.labels else b""

    @property
    def key(self):
        return self.zone, self.labels

    @property
    def parent(self):
        return self.zone, self.labels[:-1]


def _nodes(index, zone):
    """The nodes of a zone: every name, and the empty ones above them.

    What a zone cut hides is there for transfers (RFC 5936 section 3.5); no answer shows it.
    """
    depth = len(zone.origin.labels)
    seen = {name.labels[-depth - 1 :: -1]: rrsets for name, rrsets in zone.names.items()}
    for labels in list(seen):
        for length in range(len(labels)):
            seen.setdefault(labels[:length], {})
    nodes = [Node(index, labels, rrsets) for labels, rrsets in seen.items()]
    for node in nodes:
        _describe(node, (*node.labels, b"*") in seen, zone.origin)
    return nodes


def _describe(node, wild, origin):
    """The shape of a node, and its rdata."""
    flags = table.WILD if wild else 0
    if NS in node.rrsets and node.labels:
        flags |= table.CUT
    if CNAME in node.rrsets:
        flags |= table.ALIAS
    shape = bytearray((flags, len(node.rrsets)))
    rdata = []
    plane = 0
    for kind, rrset in sorted(node.rrsets.items()):
        size = FIXED.get(kind, 0)
        if size * len(rrset.rdatas) > FIXED_MAX:
            size = 0
        shape += struct.pack(">HHI", kind, IN, rrset.ttl)
        shape += struct.pack("<BxHHH", _form(kind), len(rrset.rdatas), plane, size)
        if size:
            stored = b"".join(record.to_wire() for record in rrset.rdatas)
            plane += len(stored)
        else:
            stored = b"".join(
                struct.pack("<H", len(wire)) + wire
                for wire in (_stored(record, origin) for record in rrset.rdatas)
            )
            plane += 4
        rdata.append((size > 0, stored))
    node.shape = bytes(shape)
    node.rdata = tuple(rdata)


def _form(kind):
    if kind not in FORMS:
        return 0
    before, names, flags = FORMS[kind]
    return before | len(names) << 4 | flags


def _stored(record, origin):
    """The rdata as the heap keeps it: on the wire, but names in the zone end with ORIGIN_MARK."""
    wire = record.to_wire()
    if record.rdtype not in FORMS:
        return wire
    before, fields, _ = FORMS[record.rdtype]
    names = [getattr(record, name) for name in fields]
    after = before + sum(len(name.to_wire()) for name in names)
    return wire[:before] + b"".join(_name(name, origin) for name in names) + wire[after:]


def _name(name, origin):
    if not name.is_subdomain(origin):
        return name.to_wire()
    above = len(origin.to_wire())
    return name.to_wire()[:-above] + bytes((table.ORIGIN_MARK,))


class _Layout:
    """Puts the parts one after the other; `bytes()` is the table."""

    def __init__(self, zones):
        self.zones = zones
        nodes = [node for index, zone in enumerate(zones) for node in _nodes(index, zone)]
        # Members of a family stand together, and in order: then every plane is smooth.
        nodes.sort(key=lambda n: (len(n.label), n.shape, n.zone, n.labels))
        if len(nodes) > MOST:
            raise UserError(f"{len(nodes)} names are more than the table can number")
        self.nodes = nodes
        self.numbers = {node.key: number for number, node in enumerate(nodes, table.FIRST_NODE)}
        self.families = [
            list(members)
            for _, members in itertools.groupby(nodes, lambda n: (len(n.label), n.shape))
        ]
        self.table = bytearray(4 * table.HEADER)

    def bytes(self):
        header = [0] * table.HEADER
        header[0] = table.MAGIC
        header[table.ZONES] = len(self.zones)
        header[table.NODES] = len(self.nodes) + 2 * len(EDGE)
        header[table.WIDE] = int(header[table.NODES] > 0x10000)
        header[table.MANY] = (len(self.families) > 0x100) + (len(self.families) > 0x10000)
        directory = self.append(bytes(4 * table.ZONE * len(self.zones)))
        families = self.append(bytes(4 * table.FAMILY * len(self.families)))
        header[table.DIRECTORY], header[table.FAMILIES] = directory // 4, families // 4
        header[table.STAR] = self.append(b"\x01*\x00")
        shapes = self.append_shapes()
        self.put_zones(directory)
        self.put_families(families, shapes, header)
        header[table.PARENTS] = self.append(self.parents(2 + header[table.WIDE]))
        header[table.KINDS] = self.append(self.kinds(1 + header[table.MANY]))
        index = self.index(2 + header[table.WIDE])
        header[table.MULTIPLIER], header[table.LOW] = index.multiplier, index.low
        header[table.SHIFT] = index.shift
        header[table.SLOTS] = self.append(index.column)
        header[table.SIZE] = len(self.table)
        if len(self.table) >= 1 << 30:
            raise UserError(f"a table of {len(self.table)} bytes is too large")
        self.table[: 4 * table.HEADER] = struct.pack(f"<{table.HEADER}I", *header)
        return bytes(self.table)

    def append(self, part):
        self.table += bytes(-len(self.table) % 4)
        offset = len(self.table)
        self.table += part
        return offset

    def append_shapes(self):
        """{shape: its offset}."""
        shapes = {}
        for members in self.families:
            shape = members[0].shape
            if shape not in shapes:
                shapes[shape] = self.append(shape)
        return shapes

    def put_zones(self, directory):
        apexes = {node.zone: node for node in self.nodes if not node.labels}
        for index, zone in enumerate(self.zones):
            apex = apexes[index]
            written = apex.rrsets[SOA].owner.to_wire()
            words = [0] * table.ZONE
            words[table.ORIGIN] = self.append(zone.origin.to_wire())
            words[table.ORIGIN_LENGTH] = len(written)
            words[table.APEX] = self.numbers[apex.key]
            words[table.ORIGIN_LABELS] = len(zone.origin.labels) - 1
            words[table.WRITTEN] = self.append(written)
            words[table.NEGATIVE] = self.append(_negative(apex.rrsets[SOA], zone.origin))
            words[table.VARIANTS] = self.append(_variants(zone.origin.to_wire())) // 4
            self.put(directory + 4 * table.ZONE * index, words)

    def put_families(self, families, shapes, header):
        heap = {}
        heap_bytes = bytearray()
        first = table.FIRST_NODE
        for index, members in enumerate(self.families):
            rows = []
            for node in members:
                row = bytearray()
                for fixed, stored in node.rdata:
                    if not fixed:
                        if stored not in heap:
                            heap[stored] = len(heap_bytes)
                            heap_bytes += stored
                        stored = struct.pack("<I", heap[stored])
                    row += stored
                rows.append(row)
            words = [0] * table.FAMILY
            words[table.FIRST] = first
            words[table.COUNT] = len(members)
            words[table.LABELS] = (
                self.append(_word_columns([_words(n.label) for n in members])) // 4
            )
            words[table.DATA] = self.append(_transposed(rows))
            words[table.SHAPE] = shapes[members[0].shape]
            words[table.LABEL_LENGTH] = len(members[0].label)
            self.put(families + 4 * table.FAMILY * index, words)
            first += len(members)
        header[table.HEAP] = self.append(heap_bytes)

    def put(self, offset, words):
        struct.pack_into(f"<{len(words)}I", self.table, offset, *words)

    def parents(self, planes):
        numbers = [self.numbers[node.parent] if node.labels else 0 for node in self.nodes]
        return column([*EDGE, *numbers, *EDGE], planes)

    def kinds(self, planes):
        numbers = [index for index, members in enumerate(self.families) for _ in members]
        return column([*EDGE, *numbers, *EDGE], planes)

    def index(self, planes):
        names = [
            (number, self.numbers[node.parent], node.label)
            for number, node in enumerate(self.nodes, table.FIRST_NODE)
            if node.labels
        ]
        return best_index(names, planes)


def _words(label):
    """A label with its length byte, and zeros up to a full word."""
    return (bytes((len(label),)) + label).ljust((len(label) + 4) // 4 * 4, b"\0")


def _variants(origin):
    """The origin at the four offsets in a word, each with its masks."""
    size = (len(origin) + 6) // 4 * 4
    masks = bytes(0xDF if chr(byte).isalpha() else 0xFF for byte in origin)
    return b"".join(
        (bytes(before) + part).ljust(size, b"\0") for before in range(4) for part in (origin, masks)
    )


def _transposed(rows):
    """Rows of equal length -> all first bytes, all second bytes, ..."""
    return b"".join(map(bytes, zip(*rows, strict=True)))


def _word_columns(rows):
    """Rows of equal length -> all first words, all second words, ..."""
    return b"".join(row[i : i + 4] for i in range(0, len(rows[0]), 4) for row in rows)


def _negative(rrset, origin):
    """The SOA of negative answers; see NEGATIVE in table.py."""
    (soa,) = rrset.rdatas
    # RFC 2308 section 5: the smaller of the two.
    ttl = min(rrset.ttl, soa.minimum)
    rdata = bytearray()
    origins = [0]
    for name in (soa.mname, soa.rname):
        stored = _name(name, origin)
        if stored[-1] == table.ORIGIN_MARK and len(origin) > 1:
            # The mark becomes a pointer.
            origins.append(12 + len(rdata) + len(stored) - 1)
            stored += b"\0"
        else:
            stored = name.to_wire()
        rdata += stored
    rdata += struct.pack(">IIIII", soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum)
    record = struct.pack(">HHHIH", 0, SOA, IN, ttl, len(rdata)) + rdata
    return struct.pack(f"<{len(origins) + 2}H", len(record), len(origins), *origins) + record
