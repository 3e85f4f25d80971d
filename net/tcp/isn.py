"""Initial sequence numbers and timestamp offsets that nobody can guess.  RFC 6528, RFC 7323 7.1.

    isn = Isn(key)                              16 random bytes, from machine.entropy
    isn.number(local, port, remote, remote_port, now, out)
                    out[0]: M + F(addresses, ports, secret), M a clock of 4 us; 32 bits, host order
                    out[1]: what to add to the clock for timestamps to this peer

The same addresses and ports get numbers that grow with time, so that a segment of an earlier
connection falls outside of the window of its successor (RFC 9293 MUST-8); others learn nothing.
The offset does not change while the machine runs, as PAWS wants it across TIME-WAIT (RFC 6191).
`now`: milliseconds modulo 2^30.
"""

import micropython
from micropython import const

from net.tcp.siphash import schedule, siphash

SIZE = const(40)  # with padding to a multiple of 8


@micropython.viper
def _number(state: ptr32, now: int, out: ptr32):
    out[0] = state[0] + now * 250
    out[1] = state[1]


class Isn:
    def __init__(self, key):
        self.start = schedule(key)
        self.message = bytearray(SIZE)
        self.state = bytearray(32)
        self.hash = siphash

    def number(self, local, port, remote, remote_port, now, out):
        message = self.message
        for i in range(SIZE):
            message[i] = 0
        message[0 : len(local)] = local
        message[16 : 16 + len(remote)] = remote
        message[32] = port >> 8
        message[33] = port & 0xFF
        message[34] = remote_port >> 8
        message[35] = remote_port & 0xFF
        siphash(self.start, self.state, message, SIZE - 4)
        _number(self.state, now, out)

    @micropython.viper
    def of_block(self, block_, now: int, out_):
        """The same for the addresses and ports of a block (see block.py)."""
        block = ptr32(block_)
        message = ptr32(self.message)
        halves = ptr16(message)
        i = 0
        while i < 8:
            message[i] = block[i]
            i += 1
        halves[16] = ptr16(block)[17]
        halves[17] = ptr16(block)[16]
        message[9] = 0
        self.hash(self.start, self.state, self.message, SIZE - 4)
        state = ptr32(self.state)
        out = ptr32(out_)
        out[0] = state[0] + now * 250
        out[1] = state[1]
