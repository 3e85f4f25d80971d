"""Requests that were seen before: the same bytes mean the same.

Clients that stay repeat themselves byte for byte.  Heads that were parsed and answered are kept,
and a segment that is equal to one of them needs no parsing: it is compared by words.  If its answer
is fixed (a file of a site), it is sent at once; else the handler is called with the Request of last
time.  Law: what is found here, parsing would have found; no head with a body behind it is kept.

    place of a head, in `keys`:  u32 length, then its bytes, up to HTTP_KNOWN_SIZE
"""

import micropython
from micropython import const

from net.config import HTTP_KNOWN, HTTP_KNOWN_SIZE

# Repeated from net/config.py: a place has 512 bytes.
PLACES = const(16)
SIZE = const(508)
PLACE = const(512)
SHORTEST = const(16)


class Known:
    """How a request was answered."""

    def __init__(self, request, answer, ready):
        self.request = request
        self.ready = ready
        self.said = answer.said
        self.place = -1

    def repeats(self, response, kind, body):
        """Whether a handler says what it said last time: the same objects, and nothing else."""
        said = self.said
        if said is None or said[0] is not kind or said[1] is not body:
            return False
        return response.code == 200 and not response.fields and not response.session.closes


class Memory:
    def __init__(self):
        assert HTTP_KNOWN == PLACES and HTTP_KNOWN_SIZE == SIZE
        self.keys = bytearray(PLACES * PLACE)
        self.known = [None] * PLACES
        self.ready = [None] * PLACES

    @micropython.viper
    def place(self, buffer, start: int, length: int) -> int:
        """Where buffer[start:start + length] would be; -1 if it cannot be kept."""
        if length > SIZE or length < SHORTEST or start & 3:
            return -1
        words = ptr32(buffer)
        first = start >> 2
        h = words[first + 1] ^ words[first + 2] ^ words[first + 3] ^ length
        h = h ^ ((h >> 16) & 0xFFFF)
        h = h ^ (h >> 8)
        return (h ^ (h >> 4)) & (PLACES - 1)

    @micropython.viper
    def find(self, buffer, start: int, length: int) -> int:
        """The place of an equal head, or -1."""
        if length > SIZE or length < SHORTEST or start & 3:
            return -1
        words = ptr32(buffer)
        first = start >> 2
        h = words[first + 1] ^ words[first + 2] ^ words[first + 3] ^ length
        h = h ^ ((h >> 16) & 0xFFFF)
        h = h ^ (h >> 8)
        place = (h ^ (h >> 4)) & (PLACES - 1)
        keys = ptr32(self.keys)
        at = place * (PLACE >> 2)
        if keys[at] != length:
            return -1
        at += 1
        last = first + (length >> 2)
        while first < last:
            if words[first] != keys[at]:
                return -1
            first += 1
            at += 1
        b = ptr8(words)
        k = ptr8(keys)
        i = first << 2
        j = at << 2
        end = start + length
        while i < end:
            if b[i] != k[j]:
                return -1
            i += 1
            j += 1
        return place

    def keep(self, raw, known):
        """`raw`: the bytes of a head."""
        place = self.place(raw, 0, len(raw))
        if place >= 0:
            at = place * PLACE
            self.keys[at : at + 4] = len(raw).to_bytes(4, "little")
            self.keys[at + 4 : at + 4 + len(raw)] = raw
            self.known[place] = known
            self.ready[place] = known.ready
            known.place = place

    def forget(self, known):
        if self.known[known.place] is known:
            self.keys[known.place * PLACE : known.place * PLACE + 4] = bytes(4)
            self.known[known.place] = self.ready[known.place] = None
