"""IPv4 addresses between people and the wire: "10.0.0.2/24" and four bytes.

At start-up only; packets are never routed by these functions.
"""


def parse(text):
    """Four bytes from "10.0.0.2"."""
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


def parse_interface(text):
    """Address and prefix length from "10.0.0.2/24"."""
    address, slash, length = text.partition("/")
    if not slash:
        raise ValueError(f"{text}: an interface address needs its prefix length: {text}/24")
    if not length.isdigit() or not 0 < int(length) <= 32:
        raise ValueError(f"{text}: a prefix length is between 1 and 32")
    return parse(address), int(length)


def text(address):
    return ".".join([str(byte) for byte in address])


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
