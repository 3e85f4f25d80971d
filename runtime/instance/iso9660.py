"""ISO 9660: the file system of CDs, of which most config drives are made.

ECMA-119, sections 8 (volume descriptors) and 9 (directory records); Joliet (names of UCS-2 below a
second root, of a supplementary descriptor); Rock Ridge (RRIP 1.12 section 4.1.4: field NM).
Joliet is preferred, then Rock Ridge, then the names of the standard, without their version.
Left out: extended attributes, interleaved files, files of several extents, names that Rock Ridge
goes on with elsewhere (CE).
"""

from runtime.instance.volume import DIRECTORY, Place, Volume, narrow, wide, word

BLOCK = 2048
FIRST = 16
DESCRIPTORS = 16
PRIMARY = 1
SUPPLEMENTARY = 2
JOLIET = (b"%/@", b"%/C", b"%/E")
FOLDER = 2  # of the file flags


class Iso9660(Volume):
    joliet = False
    root = None

    def mount(self):
        """True: it is one."""
        if self.disk.sectors < (FIRST + 1) * 4:
            return False
        for number in range(FIRST, FIRST + DESCRIPTORS):
            if (number + 1) * BLOCK > self.disk.sectors << 9:
                break
            data = self.bytes(number * BLOCK, BLOCK)
            if data[1:6] != b"CD001" or data[0] > 3:
                break
            if data[0] and word(data, 128, 2) != BLOCK:
                break
            if data[0] == PRIMARY and not self.root:
                self.label = narrow(data[40:72]).rstrip(" \0")
                self.root = place(data, 156)
            elif data[0] == SUPPLEMENTARY and data[88:91] in JOLIET:
                self.joliet = True
                self.root = place(data, 156)
                break
        return bool(self.root)

    def content(self, where):
        return self.bytes(where.start * BLOCK, where.size)

    def entries(self, where):
        """(name, Place) of a folder."""
        data = self.bytes(where.start * BLOCK, min(where.size, DIRECTORY))
        at = 0
        while at < len(data):
            size = data[at]
            if size < 34:
                at = (at // BLOCK + 1) * BLOCK  # the rest of the block is empty
                continue
            record = data[at : at + size]
            at += size
            length = record[32]
            name = record[33 : 33 + length]
            if len(record) < size or name in (b"\0", b"\1", b""):
                continue  # itself, the one above
            if self.joliet:
                name = wide(name, "big")
            else:
                name = narrow(rock_ridge(record[33 + length + (length + 1) % 2 :]) or name)
            yield name.split(";")[0].rstrip("."), place(record, 0)


def place(data, at):
    return Place(word(data, at + 2, 4), word(data, at + 10, 4), bool(data[at + 25] & FOLDER))


def rock_ridge(fields):
    """The name in a record's system use area, or b""."""
    name = b""
    at = 0
    while at + 4 < len(fields) and fields[at + 2] >= 4:
        size = fields[at + 2]
        if fields[at : at + 2] == b"NM":
            name += fields[at + 5 : at + size]
        at += size
    return name
