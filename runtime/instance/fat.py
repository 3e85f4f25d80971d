"""FAT12, FAT16 and FAT32, read only, with long names.

Microsoft's FAT specification (2005): sections 3 (boot sector), 4 (the FAT), 6 (directories), 7
(long names).  The number of clusters alone says which of the three it is (section 3.5).
Left out: code pages: a short name is what its bytes are.
"""

from runtime.instance.volume import DIRECTORY, LONGEST, SIGNATURE, Place, Volume, narrow, wide, word

ENTRY = 32
LONG = 0x0F  # attributes
LABEL = 0x08
FOLDER = 0x10
LAST = 0x40  # of the numbers of the pieces of a long name: they come backwards
DELETED = 0xE5


class Fat(Volume):
    def mount(self):
        """True: it is one."""
        if self.disk.sectors < 8:
            return False
        boot = self.bytes(0, 512)
        self.block = block = word(boot, 11, 2)
        self.cluster = cluster = boot[13] * block
        reserved, fats, entries = word(boot, 14, 2), boot[16], word(boot, 17, 2)
        sectors = word(boot, 19, 2) or word(boot, 32, 4)
        fat = word(boot, 22, 2) or word(boot, 36, 4)
        if (
            boot[510:] != SIGNATURE
            or block not in (512, 1024, 2048, 4096)
            or boot[13] not in (1, 2, 4, 8, 16, 32, 64, 128)
            or not (reserved and fats and fat)
        ):
            return False
        self.fat = reserved * block
        self.fixed = (reserved + fats * fat) * block  # the root folder of FAT12 and FAT16
        self.data = self.fixed + -(-entries * ENTRY // block) * block
        self.clusters = (sectors * block - self.data) // cluster
        self.bits = 12 if self.clusters < 4085 else 16 if self.clusters < 65525 else 32
        if self.clusters < 1 or fat * block * 8 < (self.clusters + 2) * self.bits:
            return False
        self.root = Place(word(boot, 44, 4) if self.bits == 32 else 0, entries * ENTRY, True)
        self.label = narrow(boot[71 if self.bits == 32 else 43 :][:11]).rstrip()
        for name, attributes, _, _ in self.records(self.root):
            if attributes & (LABEL | FOLDER) == LABEL:
                self.label = name
        return True

    def next(self, cluster):
        """The cluster after this one; 0: it was the last."""
        at = cluster * self.bits >> 3
        value = word(self.bytes(self.fat + at, 4 if self.bits == 32 else 2), 0, 4)
        if self.bits == 12:
            value = value >> 4 if cluster & 1 else value & 0xFFF
        value &= 0x0FFFFFFF
        if value >= 0x0FFFFFF7 & ((1 << self.bits) - 1):
            return 0
        return value

    def content(self, where, most=LONGEST):
        """The bytes of a file, or of a folder up to `most`."""
        if where.folder and where.start == 0:
            return self.bytes(self.fixed, min(self.root.size, most))
        size = most if where.folder else where.size
        found = bytearray()
        cluster = where.start
        while len(found) < size and cluster:
            if not 2 <= cluster < self.clusters + 2:
                raise ValueError("a chain leads out of the file system")
            found += self.bytes(self.data + (cluster - 2) * self.cluster, self.cluster)
            cluster = self.next(cluster)
        if not where.folder and len(found) < size:
            raise ValueError("a file ends too early")
        return bytes(found[:size])

    def entries(self, where):
        for name, attributes, start, size in self.records(where):
            if not attributes & LABEL:
                yield name, Place(start, size, bool(attributes & FOLDER))

    def records(self, where):
        """(name, attributes, first cluster, size) of a folder."""
        if self.bits == 32 and where.start == 0:
            where = self.root  # so a folder's ".." names it
        data = self.content(where, DIRECTORY)
        pieces = {}
        for at in range(0, len(data) - ENTRY + 1, ENTRY):
            record = data[at : at + ENTRY]
            if record[0] == 0:
                return
            if record[0] == DELETED:
                pieces = {}
            elif record[11] & 0x3F == LONG:
                if record[0] & LAST:
                    pieces = {}
                pieces[record[0] & 0x1F] = record[13], record[1:11] + record[14:26] + record[28:]
            else:
                name = long_name(pieces, checksum(record)) or short_name(record)
                pieces = {}
                start = word(record, 26, 2)
                if self.bits == 32:
                    start |= word(record, 20, 2) << 16
                yield name, record[11], start, word(record, 28, 4)


def short_name(record):
    name = narrow(record[:8]).rstrip()
    if record[11] & LABEL:
        return narrow(record[:11]).rstrip()
    extension = narrow(record[8:11]).rstrip()
    return f"{name}.{extension}" if extension else name


def checksum(record):
    total = 0
    for byte in record[:11]:
        total = ((total >> 1 | total << 7) + byte) & 0xFF
    return total


def long_name(pieces, total):
    """The name that pieces 1, 2, ... make, if they belong to the record of this checksum."""
    text = b""
    for number in range(1, len(pieces) + 1):
        mark, piece = pieces.get(number, (None, b""))
        if mark != total:
            return ""
        text += piece
    return wide(text).split("\0")[0]
