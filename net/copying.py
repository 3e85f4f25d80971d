"""Copying: a nic may be handed packets of another nic's pool; it sends copies of them.

Transports take their packets from the first nic, whatever interface they leave by; a device can
only send what lies in its own memory.  A tail is copied behind the rest.
Above: the layers of every interface but the first (stack.py).  Below: nic.transmit.
"""

import micropython
from micropython import const

from runtime.counters import Counters

LINK = const(0)
END = const(8)
TAIL = const(64)
MSS = const(68)
PIECE_COUNT = const(74)
PIECE = const(76)

COUNTS = ("copied",)
DROPS = ("no_buffer", "too_long")
_COPIED = const(0)
_NO_BUFFER = const(1)
_TOO_LONG = const(2)


class Copying:
    def __init__(self, nic, pool, registry):
        self.pool = pool  # whose packets are copied
        self.count = registry.add(Counters("copying", COUNTS, DROPS)).count
        self.allocate = nic.allocate
        self.below = nic.transmit

    @micropython.viper
    def transmit(self, packet):
        if packet.pool is not self.pool:
            self.below(packet)
            return
        copy = self.allocate()
        if copy is None:
            self.count(_NO_BUFFER)
            packet.release()
            return
        head = ptr16(packet.buffer)
        words = ptr32(head)
        out = ptr16(copy.buffer)
        end = int(head[END >> 1]) + words[TAIL >> 2]
        # No device cuts here: the offloads of a stack are those that all its nics have.
        room = int(len(copy.buffer))  # noqa: RUF046 (viper)
        if end > room or int(head[MSS >> 1]) != 0:
            self.count(_TOO_LONG)
            copy.release()
            packet.release()
            return
        i = 0
        while i < 16:
            ptr32(out)[i] = words[i]
            i += 1
        # Two bytes at a time: LINK is even.
        i = int(head[LINK >> 1]) >> 1
        last = (int(head[END >> 1]) + 1) >> 1
        while i < last:
            out[i] = head[i]
            i += 1
        to = ptr8(out)
        at = int(head[END >> 1])
        i = 0
        while i < int(head[PIECE_COUNT >> 1]):
            piece = ptr8(packet.pieces[i])
            j = words[(PIECE >> 2) + (i << 1)]
            left = words[(PIECE >> 2) + (i << 1) + 1]
            while left:
                to[at] = piece[j]
                at += 1
                j += 1
                left -= 1
            i += 1
        out[END >> 1] = end
        self.count(_COPIED)
        packet.release()
        self.below(copy)
