"""The Internet checksum: RFC 1071; changed in place: RFC 1624.

Sums are ordinary integers in the byte order of the machine, which RFC 1071 section 2 (B) allows;
a sum is folded to 16 bits at the end.  Words are loaded from even offsets of a buffer.
Left out: data that starts at an odd offset (every header here has even length).
"""

import micropython


@micropython.viper
def partial(buffer: ptr16, start: int, end: int, total: int) -> int:
    """Add the bytes of buffer[start:end] to `total`, and fold to 16 bits.  `start` is even."""
    i = start >> 1
    last = end >> 1
    while i + 8 <= last:
        total += (
            buffer[i]
            + buffer[i + 1]
            + buffer[i + 2]
            + buffer[i + 3]
            + buffer[i + 4]
            + buffer[i + 5]
            + buffer[i + 6]
            + buffer[i + 7]
        )
        i += 8
        if total >= 0x3F000000:
            total = (total & 0xFFFF) + (total >> 16)  # 64 KB of ones would not fit 31 bits
    while i < last:
        total += buffer[i]
        i += 1
    if end & 1:
        # A last odd byte is padded with zero: it is the low half of its word.
        total += ptr8(buffer)[end - 1]
    total = (total & 0xFFFF) + (total >> 16)
    return (total & 0xFFFF) + (total >> 16)


@micropython.viper
def changed(checksum: int, old: int, new: int) -> int:
    """The checksum after one 16-bit word of its data went from `old` to `new` (RFC 1624 eqn. 3)."""
    total = (checksum ^ 0xFFFF) + (old ^ 0xFFFF) + new
    total = (total & 0xFFFF) + (total >> 16)
    return ((total & 0xFFFF) + (total >> 16)) ^ 0xFFFF
