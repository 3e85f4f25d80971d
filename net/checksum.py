"""The Internet checksum: RFC 1071; changed in place: RFC 1624.

Sums are ordinary integers in the byte order of the machine, which RFC 1071 section 2 (B) allows;
a sum is folded to 16 bits at the end.  Words are loaded from even offsets of a buffer: `partial` is
for headers and whole packets; `piece` for parts of a send queue, which begin anywhere, in their
object and in the segment.  A word loaded one byte off is the same word with its bytes swapped, and
so is the sum (RFC 1071 section 2 (B)).
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
def piece(data, start: int, length: int, position: int, total: int) -> int:
    """Add data[start:start + length], which lies at `position` of what is summed, to 16 bits.

    Only whether `position` is odd matters: so many bytes of the segment are in front.
    """
    if length == 0:
        return total
    end = start + length
    part = 0
    i = start
    if i & 1:
        # The byte in front of the first word is the high half of one.
        part = int(ptr8(data)[i]) << 8
        i += 1
    part = int(partial(data, i, end, part))
    if (start ^ position) & 1:
        part = (part & 0xFF) << 8 | part >> 8
    total += part
    return (total & 0xFFFF) + (total >> 16)


@micropython.viper
def changed(checksum: int, old: int, new: int) -> int:
    """The checksum after one 16-bit word of its data went from `old` to `new` (RFC 1624 eqn. 3)."""
    total = (checksum ^ 0xFFFF) + (old ^ 0xFFFF) + new
    total = (total & 0xFFFF) + (total >> 16)
    return ((total & 0xFFFF) + (total >> 16)) ^ 0xFFFF
