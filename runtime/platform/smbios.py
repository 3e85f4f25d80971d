"""SMBIOS: what the firmware says this machine is; in a cloud, whose it is and which one.

DSP0134 3.7: sections 5.2.1 and 5.2.2 (entry points), 6.1.2 and 6.1.3 (structures and their
strings), 7.2 (type 1, System Information).

    system = read(metal.memory)     None: no tables, or they are damaged
    system = parse(data)            of the tables themselves, such as fw_cfg has them
    system.manufacturer, product, serial, family       text, "" where there is none
    system.uuid                                        "c3a4...", as Nova and libvirt write it

Law: nothing outside of the tables is looked at, whatever they say, and a walk over them ends.
Left out: every other type; the tables of UEFI, which lie elsewhere (QEMU's are in
fw_cfg, too).
"""

FIRST = 0xF0000  # where the entry point is, on a boundary of 16 bytes
AREA = 0x10000
PAGE = 0x1000  # of it: as much is looked at at once
LONGEST_ENTRY = 32
LONGEST = 0x10000  # of the structures
SYSTEM = 1
END = 127


class System:
    manufacturer = product = serial = family = uuid = ""


def read(memory):
    where = find(memory)
    return parse(bytes(memory(*where))) if where else None


def find(memory):
    """(address, length) of the structures, or None."""
    for page in range(FIRST, FIRST + AREA, PAGE):
        data = bytes(memory(page, min(PAGE + LONGEST_ENTRY, FIRST + AREA - page)))
        at = data.find(b"_SM")
        while at >= 0:
            found = entry(data[at : at + LONGEST_ENTRY])
            if found and at & 15 == 0:
                return found
            at = data.find(b"_SM", at + 1)
    return None


def entry(data):
    """What an entry point says, or None: it is none."""
    if (
        data[:5] == b"_SM3_"
        and len(data) > 23
        and 24 <= data[6] <= len(data)
        and not sum(data[: data[6]]) & 0xFF
    ):
        address, length, high = data[16:20], data[12:16], data[20:24]
    elif data[:4] == b"_SM_" and data[16:21] == b"_DMI_" and not sum(data[16:31]) & 0xFF:
        address, length, high = data[24:28], data[22:24], b""
    else:
        return None
    address = int.from_bytes(address, "little")
    if not address or any(high) or address >= 0xFFFF0000:
        return None
    return address, min(int.from_bytes(length, "little"), LONGEST)


def parse(data):
    """The system that structures tell of, or None."""
    at = 0
    while at + 4 <= len(data):
        kind, size = data[at], data[at + 1]
        end = data.find(b"\0\0", at + size)
        if size < 4 or end < 0 or kind == END:
            break
        if kind == SYSTEM:
            return told(data[at : at + size], data[at + size : end].split(b"\0"))
        at = end + 2
    return None


def told(fields, texts):
    def text(offset):
        number = fields[offset] if offset < len(fields) else 0
        return plain(texts[number - 1]) if 0 < number <= len(texts) else ""

    system = System()
    system.manufacturer = text(4)
    system.product = text(5)
    system.serial = text(7)
    system.family = text(26)
    u = fields[8:24]
    if len(u) == 16 and any(u):
        # 7.2.1: the first three numbers are little-endian.
        u = bytes([u[i] for i in (3, 2, 1, 0, 5, 4, 7, 6)]) + u[8:]
        h = "".join([f"{byte:02x}" for byte in u])
        system.uuid = "-".join((h[:8], h[8:12], h[12:16], h[16:20], h[20:]))
    return system


def plain(data):
    """Text that may be shown."""
    return "".join([chr(byte) for byte in data if 0x20 <= byte < 0x7F]).strip()
