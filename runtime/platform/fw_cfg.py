"""fw_cfg: files that whoever starts QEMU gives the machine.

    qemu-system-x86_64 ... -fw_cfg name=opt/org.importos/settings,string="log=debug hostname=ns1"

QEMU docs/specs/fw_cfg: selector (port 0x510) and data (0x511); DMA (0x514: the address of a
command, big-endian as the command is); directory (item 0x19); names of users lie below opt/.

    files = directory()         {name: (selector, size)}; {} where there is no fw_cfg with DMA;
                                of others' files only TABLES: what SMBIOS says, for the firmware
    read(*files[name])          its bytes; ValueError: it cannot be read

Law: not more than ENTRIES files are looked at, and none of more than LONGEST bytes is read.
Left out: writing; QEMU before 2.5, which had no DMA.
"""

import micropython
from metal import in8, out16, out32
from micropython import const

SELECTOR = const(0x510)
DATA = const(0x511)
DMA = const(0x514)
SIGNATURE = const(0)
FEATURES = const(1)
DIRECTORY = const(0x19)
HAS_DMA = const(2)
ENTRY = const(64)  # size, selector (16 bits, as two that are reserved), name
ENTRIES = const(256)
LONGEST = const(0x40000)
TABLES = b"etc/smbios/smbios-tables"
# The control word of a command: select, then read; afterwards 0, or ERROR.
READ = b"\0\x0a"


@micropython.viper
def place(words: ptr32, data: ptr8):
    words[0] = int(data)
    words[1] = int(words)


def by_port(selector, count):
    """The first bytes of an item."""
    out16(SELECTOR, selector)
    return bytes([in8(DATA) for _ in range(count)])


def read(selector, size):
    if size > LONGEST:
        raise ValueError(f"{size} bytes are too many")
    if size == 0:
        return b""
    data = bytearray(size)
    # Where the data and the command lie, then the command: control, length, 64 bits of address.
    words = bytearray(24)
    place(words, data)
    words[8:12] = selector.to_bytes(2, "big") + READ
    words[12:16] = size.to_bytes(4, "big")
    words[20:24] = number(words[0:4]).to_bytes(4, "big")
    out32(DMA, 0)
    command = number(words[4:8]) + 8
    out32(DMA + 4, int.from_bytes(command.to_bytes(4, "little"), "big"))
    # QEMU is done before the store is.
    if any(words[8:12]):
        raise ValueError("fw_cfg does not answer")
    return bytes(data)


def number(word):
    return int.from_bytes(word, "little")


def directory():
    if by_port(SIGNATURE, 4) != b"QEMU" or not by_port(FEATURES, 1)[0] & HAS_DMA:
        return {}
    count = min(int.from_bytes(by_port(DIRECTORY, 4), "big"), ENTRIES)
    listing = read(DIRECTORY, 4 + ENTRY * count)
    files = {}
    for at in range(4, len(listing), ENTRY):
        name = listing[at + 8 : at + ENTRY].split(b"\0")[0]
        if name.startswith(b"opt/") or name == TABLES:
            size = int.from_bytes(listing[at : at + 4], "big")
            selector = int.from_bytes(listing[at + 4 : at + 6], "big")
            files[str(name, "utf-8")] = selector, size
    return files
