"""Initial sequence numbers and timestamp offsets that nobody can guess.  RFC 6528, RFC 7323 7.1.

    isn = Isn(key)                              16 random bytes, from machine.entropy
    isn.of_block(block, now, out)               for the addresses and ports of a block (block.py)
                    out[0]: M + F(addresses, ports, secret), M a clock of 4 us; 32 bits, host order
                    out[1]: what to add to the clock for timestamps to this peer
    isn.state       F, 64 bits: cookies (cookies.py) go on from there

The same addresses and ports get numbers that grow with time, so that a segment of an earlier
connection falls outside of the window of its successor (RFC 9293 MUST-8); others learn nothing.
The offset does not change while the machine runs, as PAWS wants it across TIME-WAIT (RFC 6191).
`now`: milliseconds modulo 2^30.  IPv4's ends are hashed as 12 bytes, IPv6's as 36: SipHash tells
them apart by the length.
"""

import micropython
from micropython import const

from net.siphash import schedule, siphash

# The block (see block.py).
LOCAL = const(0)
REMOTE = const(4)
PORTS = const(8)
B_FLAGS = const(11)
IS_IP6 = const(0x1)

SIZE = const(40)  # with padding to a multiple of 8


class Isn:
    def __init__(self, key):
        self.start = schedule(key)
        self.message = bytearray(SIZE)
        self.state = bytearray(32)
        self.hash = siphash

    @micropython.viper
    def of_block(self, block_, now: int, out_):
        block = ptr32(block_)
        message = ptr32(self.message)
        words = 1
        if block[B_FLAGS] & IS_IP6:
            words = 4
        i = 0
        while i < words:
            message[i] = block[LOCAL + i]
            message[words + i] = block[REMOTE + i]
            i += 1
        words <<= 1
        message[words] = block[PORTS]
        self.hash(self.start, self.state, self.message, (words + 1) << 2)
        state = ptr32(self.state)
        out = ptr32(out_)
        out[0] = state[0] + now * 250
        out[1] = state[1]
