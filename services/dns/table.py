"""Table: the zones as one read-only block of bytes, and the walk down their names.

tools/zone/compile.py makes it at build time; in the machine it lies in the image and costs no heap.
Numbers are little-endian; offsets count from the first byte of the table.

    header, u32 each                      zone, u32 each: one per zone, longest origin first
     0  "IOZ", the version (MAGIC)          0  ORIGIN         offset of its wire form, lower case
     1  SIZE        bytes of the table      1  ORIGIN_LENGTH  bytes of it, with the root's zero
     2  ZONES       how many                2  APEX           its node
     3  DIRECTORY   offset / 4 of zones     3  ORIGIN_LABELS  without the root
     4  SLOTS       offset                  4  WRITTEN        offset of it as the file spells it
     5  SHIFT       30 - log2(slots)        5  NEGATIVE       offset of the SOA for bad news
     6  MULTIPLIER  of the hash             6  VARIANTS       offset / 4 of it to compare with
     7  NODES       entries of a column
     8  PARENTS     offset of a column
     9  KINDS       offset of a column
    10  FAMILIES    offset / 4
    11  HEAP        offset
    12  STAR        offset of the label "*"
    13  WIDE        1: slots and PARENTS have a third plane
    14  MANY        planes of KINDS - 1
    15  LOW         mask: these bits of a label's last byte count from a slot's node

VARIANTS compare an origin of n bytes with aligned words, wherever it begins in one: for each offset
0 to 3 in a word, k = (n + 6) // 4 words of its bytes, and k words of masks: 0 before and behind the
origin, 0xDF for a letter, so that case does not count, else 0xFF.

NEGATIVE is the record that comes with "no such name" and "no such data" (RFC 2308), ready to be
copied: u16 its length; u16 how many offsets; that many u16, where in the record a pointer to the
origin belongs; the record.

A node is a name that exists: it owns records, or a name below it does (an empty non-terminal).
Nodes are numbered from FIRST_NODE; 0 says "none".  A node knows its parent and one label, not its
full name, so a name is found as RFC 1034 section 4.3.2 says: label by label from the apex down, and
where the walk ends the answer is decided: at the name, at a zone cut, or at the closest encloser.

A column has one entry per node, split into planes: all low bytes first, then all second bytes, then
all third ones.  Planes of sorted numbers are runs, and runs cost nothing once deflated.

    slots         hash of (parent, label) -> node, open addressing, linear probing; planes.  The
                  hash takes the label by words: see `find`.  It does not see the bits LOW of the
                  last byte: they are added to the slot's number, so that host0 to host9, which
                  are neighbours, share a slot.  0 says "none"
    PARENTS       node -> parent
    KINDS         node -> family

Before the first node and behind the last one there are as many entries as LOW can add, with a
parent, 0, that nobody has: what a slot leads to need not be compared with the ends.

A family is all nodes with labels of one length and one shape.  They have consecutive numbers.

    family, u32 each
     0  FIRST     its first node
     1  COUNT     how many nodes
     2  LABELS    offset / 4 of the labels in lower case, each with its length byte, zeros behind
                  to full words: COUNT first words, COUNT second words, ...
     3  DATA      offset of the planes that hold the rdata, or point to it: COUNT bytes each
     4  SHAPE     offset of the shape
     5  LABEL_LENGTH  bytes of a label

A shape says which RRsets its nodes own.  It is stored once however many families use it: a byte of
flags (CUT, WILD, ALIAS), a byte with the number of RRsets, and 16 bytes for each, by type.

    RRset
     0  TYPE      u16, then the class, u16, both as in a message
     4  TTL       u32, as in a message
     8  FORM      byte: where names are in the rdata, see below
    10  RECORDS   u16, how many
    12  PLANE     u16, the first of its planes in the family's DATA
    14  FIXED     u16, bytes of rdata if that is the same for all (A, AAAA), else 0

FIXED > 0: the rdata of all records is RECORDS * FIXED planes, one byte of each node in each.
FIXED = 0: the planes PLANE .. PLANE + 3 hold an offset in the heap, where equal RRsets share one
           entry: for each record a u16 length and the rdata.  FORM: bits 0-3 bytes before the first
           name; bits 4-5 how many names; bit 6 they may be compressed (RFC 3597 section 4); bit 7
           their addresses belong in the additional section.  Such a name is a wire name that ends
           with 0, or with ORIGIN_MARK: "here follows the origin".

Left out: DNSSEC, DNAME.  The compiler refuses DNAME; DNSSEC's records are served as plain data.
"""

import micropython
from micropython import const

MAGIC = const(0x025A4F49)  # "IOZ", version 2

# Header.
SIZE = const(1)
ZONES = const(2)
DIRECTORY = const(3)
SLOTS = const(4)
SHIFT = const(5)
MULTIPLIER = const(6)
NODES = const(7)
PARENTS = const(8)
KINDS = const(9)
FAMILIES = const(10)
HEAP = const(11)
STAR = const(12)
WIDE = const(13)
MANY = const(14)
LOW = const(15)
HEADER = const(16)

FIRST_NODE = const(16)  # above what LOW can add

# Zone.
ORIGIN = const(0)
ORIGIN_LENGTH = const(1)
APEX = const(2)
ORIGIN_LABELS = const(3)
WRITTEN = const(4)
NEGATIVE = const(5)
VARIANTS = const(6)
ZONE = const(7)

# Family.
FIRST = const(0)
COUNT = const(1)
LABELS = const(2)
DATA = const(3)
SHAPE = const(4)
LABEL_LENGTH = const(5)
FAMILY = const(6)

# Shape: its flags, then the fields of an RRset.
CUT = const(0x01)  # the zone ends here: a delegation
WILD = const(0x02)  # there is a child "*"
ALIAS = const(0x04)  # owns a CNAME

RRSETS = const(2)  # offset of the first one
TYPE = const(0)
TTL = const(4)
FORM = const(8)
RECORDS = const(10)
PLANE = const(12)
FIXED = const(14)
RRSET = const(16)

FORM_COMPRESS = const(0x40)
FORM_ADDITIONAL = const(0x80)
ORIGIN_MARK = const(0xC0)

# Words of the work area of the responder, which this module shares; drawn in responder.py.
FOUND_FAMILY = const(33)
FOUND_LEFT = const(34)
FOUND_CUT = const(35)
STARTS = const(512)  # byte offset


class Table:
    """`data`: the bytes of a compiled zone; `work`: the responder's work area."""

    def __init__(self, data, work):
        if len(data) < 4 * HEADER or int.from_bytes(data[:4], "little") != MAGIC:
            raise ValueError("not a zone table of this version: compile the zone file again")
        if int.from_bytes(data[4 * SIZE : 4 * SIZE + 4], "little") != len(data):
            raise ValueError("the zone table is cut short")
        self.data = data
        self.work = work

    @micropython.viper
    def find(self, name, at: int, labels: int, node: int, through: int) -> int:
        """Walk down from a node: the last node on the way that exists.

        The labels are those of the name at name[at:]; work[STARTS + i] says where the i-th begins,
        relative to `at`.  Leaves in the work area: FOUND_FAMILY, where the family of the node
        is; FOUND_LEFT, how many labels had no node; FOUND_CUT, the first node on the way that is
        a zone cut, or 0.  The walk ends at a cut unless `through`.
        """
        q = ptr8(name)
        t = ptr8(self.data)
        head = ptr32(t)
        work = ptr32(self.work)
        starts = ptr8(work)
        slots = head[SLOTS]
        shift = head[SHIFT]
        size = 1 << 30 - shift
        multiplier = head[MULTIPLIER]
        nodes = head[NODES]
        parents = head[PARENTS]
        kinds = head[KINDS]
        families = head[FAMILIES]
        wide = head[WIDE]
        many = head[MANY]
        mask = head[LOW]
        kind = t[kinds + node]
        if many:
            kind |= t[kinds + nodes + node] << 8
            if many > 1:
                kind |= t[kinds + 2 * nodes + node] << 16
        family = families + FAMILY * kind
        cut = 0
        while labels:
            first = at + starts[STARTS + labels - 1]
            length = q[first]
            # The hash: parent, then the words of the label, each byte with the bit set that tells
            # lower from upper case.  All arithmetic modulo 2^30; the high bits are the best.
            value = node
            word = 0
            i = 0
            while i <= length:
                word |= (q[first + i] | 0x20) << ((i & 3) << 3)
                if i & 3 == 3 or i == length:
                    value = value * multiplier + word
                    word = 0
                i += 1
            low = q[first + length] & mask
            value -= low << ((length & 3) << 3)
            slot = (value * multiplier & 0x3FFFFFFF) >> shift
            candidate = family
            while True:
                child = t[slots + slot] | t[slots + size + slot] << 8
                if wide:
                    child |= t[slots + 2 * size + slot] << 16
                if child == 0:
                    break
                child += low
                kind = t[kinds + child]
                if many:
                    kind |= t[kinds + nodes + child] << 8
                    if many > 1:
                        kind |= t[kinds + 2 * nodes + child] << 16
                candidate = families + FAMILY * kind
                if head[candidate + LABEL_LENGTH] == length:
                    parent = t[parents + child] | t[parents + nodes + child] << 8
                    if wide:
                        parent |= t[parents + 2 * nodes + child] << 16
                    if parent == node:
                        # Backwards: labels that differ often differ in their last bytes.
                        count = head[candidate + COUNT]
                        p = head[candidate + LABELS] + child - head[candidate + FIRST]
                        p = p + count * (length >> 2) << 2
                        i = length
                        while i:
                            byte = q[first + i]
                            c = t[p + (i & 3)]
                            if byte != c and (byte < 65 or byte > 90 or byte + 32 != c):
                                break
                            if i & 3 == 0:
                                p -= count << 2
                            i -= 1
                        if i == 0:
                            break
                slot += 1
                if slot == size:
                    slot = 0
            if child == 0:
                break
            node = child
            family = candidate
            labels -= 1
            if t[head[family + SHAPE]] & CUT:
                if cut == 0:
                    cut = node
                if through == 0:
                    break
        work[FOUND_FAMILY] = family
        work[FOUND_LEFT] = labels
        work[FOUND_CUT] = cut
        return node
