"""Volume: files on a disk, of a file system that holds a config drive.

    for volume in find(disk)        an Iso9660 or a Fat on all of the disk, or a Fat for each of the
                                    partitions of an MBR that has one (of type whatever)
    volume.label                    "config-2"
    volume.read("openstack/latest/meta_data.json")      bytes, None: there is no such file

Names are compared as these file systems do: capitals do not count.
Law: whatever lies on the disk, a search ends and what is kept is bounded (LONGEST, DIRECTORY); what
cannot be is a ValueError, a disk that fails an OSError.
Above: drive.py.  Below: disk.fetch(sector, count).
Left out: GPT, partitions within partitions.
"""

LONGEST = 0x40000  # bytes of a file
SIGNATURE = b"\x55\xaa"  # of a boot sector
DIRECTORY = 0x10000  # bytes of a directory that are looked at


class Volume:
    def __init__(self, disk, first=0):
        self.disk = disk
        self.first = first << 9
        self.unit = max(disk.block_size >> 9, 1)  # sectors

    def bytes(self, offset, length):
        """Bytes of the disk, fetched in whole blocks."""
        if not length:
            return b""
        offset += self.first
        if offset < 0 or offset + length > self.disk.sectors << 9:
            raise ValueError("it reaches past the end of the disk")
        first = (offset >> 9) // self.unit * self.unit
        last = -(-(offset + length) // 512)
        count = -(-(last - first) // self.unit) * self.unit
        start = offset - (first << 9)
        return bytes(self.disk.fetch(first, count)[start : start + length])

    def read(self, path):
        """Walk down from the root."""
        where = self.root
        parts = path.lower().split("/")
        for i, part in enumerate(parts):
            found = [place for name, place in self.entries(where) if name.lower() == part]
            if not found:
                return None
            where = found[0]
            if where.folder != (i < len(parts) - 1):
                return None
        if where.size > LONGEST:
            raise ValueError(f"{where.size} bytes are too many")
        return self.content(where)


class Place:
    """Where a file or a folder is: an extent, or the first of a chain of clusters."""

    def __init__(self, start, size, folder):
        self.start = start
        self.size = size
        self.folder = folder


def word(data, at, size):
    """A number, the low byte first."""
    return int.from_bytes(data[at : at + size], "little")


def wide(data, order="little"):
    """Text of UTF-16 without what lies beyond its first plane."""
    return "".join(
        [chr(int.from_bytes(data[i : i + 2], order)) for i in range(0, len(data) & ~1, 2)]
    )


def narrow(data):
    return "".join([chr(byte) for byte in data])


def find(disk):
    from runtime.instance.fat import Fat
    from runtime.instance.iso9660 import Iso9660

    for kind in (Iso9660, Fat):
        volume = kind(disk)
        if volume.mount():
            yield volume
            return
    boot = volume.bytes(0, min(disk.sectors, 1) << 9)
    for at in range(446, 510, 16):
        first = word(boot, at + 8, 4) * volume.unit
        if boot[510:] == SIGNATURE and 0 < first < disk.sectors:
            volume = Fat(disk, first)
            if volume.mount():
                yield volume
