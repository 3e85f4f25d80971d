"""The empty guest: the smallest thing that boots and says one byte on the serial line. It is what
QEMU and the firmware cost alone.

As a multiboot kernel (no ELF: the header itself says where to load) and as a boot sector.
"""

import struct

LOAD = 0x100000
# mov dx, 0x3f8; mov al, '!'; out dx, al; cli; hlt; jmp to hlt.   The first instruction has 32-bit
# and 16-bit forms.
SPEAK = b"\xb0!\xee\xfa\xf4\xeb\xfd"
CODE_32 = b"\xba\xf8\x03\x00\x00" + SPEAK
CODE_16 = b"\xba\xf8\x03" + SPEAK


def multiboot():
    """Multiboot 1, section 3.1: flag 16, the address fields are valid."""
    magic, flags = 0x1BADB002, 1 << 16
    entry = LOAD + 32
    end = entry + len(CODE_32)
    header = struct.pack(
        "<8I", magic, flags, -(magic + flags) & 0xFFFFFFFF, LOAD, LOAD, end, end, entry
    )
    return header + CODE_32


def boot_sector():
    """Padded to one cylinder: SeaBIOS does not boot a smaller virtio disk."""
    sector = CODE_16.ljust(510, b"\0") + b"\x55\xaa"
    return sector.ljust(16 * 63 * 512, b"\0")
