"""DNS names: what people write, and what is in a message.  RFC 1035 sections 2.3.4, 3.1, 4.1.4.

A name is bytes as they are in a message without pointers: b"\x03www\x07example\x00".  Two names
are the same if their `lower()` is (RFC 4343): a length is below 64, so lower() leaves it.

Law: pointers go back only, so that no name is a loop; what does not fit its frame is Malformed.
Left out: names that are not host names have no text form with escapes; IDNA.
"""

from micropython import const

HEADER = const(12)
LONGEST_NAME = const(255)
LONGEST_LABEL = const(63)


class Malformed(Exception):
    pass


def encode(text):
    """The name of a text such as "www.example.com", with or without the last dot."""
    name = b""
    if text.endswith("."):
        text = text[:-1]
    if text:
        for label in text.split("."):
            label = label.encode()
            if not 0 < len(label) <= LONGEST_LABEL:
                raise ValueError(f"{text!r} is not a name: a label has 1 to 63 bytes")
            name += bytes([len(label)]) + label
    name += b"\0"
    if len(name) > LONGEST_NAME:
        raise ValueError(f"{text!r} is not a name: it has more than 255 bytes")
    return name


def decode(name):
    """The text of a name, with the last dot; bytes that are not ASCII become question marks."""
    return "".join([label_text(label) + "." for label in labels(name)]) or "."


def label_text(label):
    try:
        return label.decode()
    except UnicodeError:
        return "".join([chr(byte) if byte < 128 else "?" for byte in label])


def labels(name):
    """The labels of a name, without the root's."""
    found = []
    at = 0
    while name[at]:
        found.append(name[at + 1 : at + 1 + name[at]])
        at += 1 + name[at]
    return found


def read_name(data, at):
    """The name at data[at:], as spelled, and the offset behind it."""
    name = b""
    after = -1
    # RFC 1035 4.1.4: a pointer leads to a prior occurrence, so each leads before the last.
    floor = at
    while True:
        if at >= len(data):
            raise Malformed
        length = data[at]
        if length >= 0xC0:
            if at + 1 >= len(data):
                raise Malformed
            if after < 0:
                after = at + 2
            at = (length & 0x3F) << 8 | data[at + 1]
            if not HEADER <= at < floor:
                raise Malformed
            floor = at
            continue
        if length > LONGEST_LABEL or at + 1 + length > len(data):
            raise Malformed
        at += 1
        name += data[at - 1 : at + length]
        if len(name) > LONGEST_NAME:
            raise Malformed
        at += length
        if length == 0:
            return name, after if after >= 0 else at
