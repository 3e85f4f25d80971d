"""What SHA-1 and MD5 have in common: blocks of 64 bytes, padding, a length of 64 bits.

RFC 1321 3.1 to 3.3; RFC 3174 section 4.  A hash of ours has `first` (the state to begin with),
`compress(buffer, offset, blocks)`, which changes `state`, and `big`: the order of its bytes.
"""

BLOCK = 64


class Hash:
    block_size = BLOCK

    def __init__(self, data=b""):
        self.state = bytearray(self.first)
        self.words = bytearray(320)
        self.scratch = bytearray(32)
        self.rest = bytearray(BLOCK)
        self.held = 0  # bytes in rest
        self.length = 0
        if data:
            self.update(data)

    def update(self, data):
        if isinstance(data, str):
            data = data.encode()
        count = len(data)
        self.length += count
        at = 0
        if self.held:
            at = min(count, BLOCK - self.held)
            self.rest[self.held : self.held + at] = data[:at]
            self.held += at
            if self.held < BLOCK:
                return
            self.compress(self.rest, 0, 1)
            self.held = 0
        blocks = (count - at) // BLOCK
        if blocks:
            self.compress(data, at, blocks)
            at += blocks * BLOCK
        if at < count:
            self.held = count - at
            self.rest[: self.held] = data[at:]

    def copy(self):
        other = type(self)()
        other.state[:] = self.state
        other.rest[:] = self.rest
        other.held = self.held
        other.length = self.length
        return other

    def digest(self):
        """The hash of what has come so far; more may come."""
        other = self.copy()
        bits = 8 * self.length
        zeros = bytes((55 - self.length) % BLOCK)
        other.update(b"\x80" + zeros + bits.to_bytes(8, "big" if self.big else "little"))
        return bytes(other.state)

    def hexdigest(self):
        return "".join([f"{byte:02x}" for byte in self.digest()])
