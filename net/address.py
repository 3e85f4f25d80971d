"""Addresses between people and the wire: "10.0.0.2/24" and four bytes, "2001:db8::2" and sixteen.

RFC 4291 section 2.2 (how IPv6 addresses may be written), RFC 5952 (how we write them).
At start-up and in logs only; packets are never routed by these functions.
"""


def parse(text):
    """Four bytes from "10.0.0.2", sixteen from "2001:db8::2"."""
    if ":" in text:
        return parse6(text)
    parts = text.split(".")
    try:
        if len(parts) != 4:
            raise ValueError
        for part in parts:
            if not 0 <= int(part) <= 255:
                raise ValueError
    except ValueError:
        raise ValueError(f"not an IPv4 address: {text}") from None
    return bytes([int(part) for part in parts])


def parse6(text):
    """Sixteen bytes from "2001:db8::2"; the last four may be written as an IPv4 address."""
    try:
        left, gap, right = text.partition("::")
        if "::" in right or (gap and "." in left):
            raise ValueError
        head, tail = groups(left), groups(right)
        missing = 16 - len(head) - len(tail)
        if missing < 2 if gap else missing:
            raise ValueError
        return head + bytes(missing) + tail
    except ValueError:
        raise ValueError(f"not an IPv6 address: {text}") from None


def groups(text):
    """Two bytes for every group of "2001:db8", four for one with dots."""
    found = b""
    for group in text.split(":") if text else ():
        if "." in group:
            found += parse(group)
        elif not 0 < len(group) <= 4 or group[0] in "+-":
            raise ValueError
        else:
            value = int(group, 16)
            found += bytes([value >> 8, value & 0xFF])
    return found


def parse_interface(text):
    """Address and prefix length from "10.0.0.2/24"."""
    parts = text.split("/", 1)
    most = 128 if ":" in parts[0] else 32
    if len(parts) == 1:
        example = f"{text}/64" if most == 128 else f"{text}/24"
        raise ValueError(f"{text}: an interface address needs its prefix length: {example}")
    length = parts[1]
    if not length.isdigit() or not 0 < int(length) <= most:
        raise ValueError(f"{text}: a prefix length is between 1 and {most}")
    return parse(parts[0]), int(length)


def text(address):
    if len(address) == 16:
        return text6(address)
    return ".".join([str(byte) for byte in address])


def text6(address):
    """RFC 5952: small letters, no leading zeros, `::` for the longest run of zeros, if of two."""
    words = [address[i] << 8 | address[i + 1] for i in range(0, 16, 2)]
    best = size = 0
    start = 0
    while start < 8:
        end = start
        while end < 8 and words[end] == 0:
            end += 1
        if end - start > size:
            best, size = start, end - start
        start = end + 1
    words = ["%x" % word for word in words]  # noqa: UP031 (as the log has it)
    if size < 2:
        return ":".join(words)
    return ":".join(words[:best]) + "::" + ":".join(words[best + size :])


def mask(length):
    """Four bytes whose first `length` bits are ones."""
    return bytes(
        [255 if length >= n + 8 else 0xFF00 >> max(length - n, 0) & 0xFF for n in (0, 8, 16, 24)]
    )


def length(mask):
    """The prefix length of a netmask, or -1 if its ones have holes."""
    bits = int.from_bytes(mask, "big") ^ 0xFFFFFFFF
    if bits & (bits + 1):
        return -1
    ones = 32
    while bits:
        bits >>= 1
        ones -= 1
    return ones


def apply(address, mask):
    return bytes([address[i] & mask[i] for i in range(4)])
