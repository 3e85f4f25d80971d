"""Output: what may be sent now.  RFC 9293 3.7 and 3.8.6; RFC 896 (Nagle); RFC 5681 3.1.

`run` is called once per turn for every connection that something happened to:

    1. what recovery wants to be sent again
    2. new data, as far as the peer's window, the congestion window, Nagle and silly window
       avoidance (RFC 9293 3.8.6.2.1) let it; FIN goes with the last of it
    3. an acknowledgement, if none went along: at once after two segments, else within 40 ms

Nagle's rule is Minshall's: a segment that is not full waits only for one that was not full either.
With a device that cuts segments (TSO) a packet carries up to LONGEST bytes.
Above: turn.py.  Below: sendqueue.py fills the payload, segment.py writes the header.
"""

import micropython
from micropython import const

from net.config import TCP_DELAYED_ACK_MS
from net.tcp import congestion, ecn, recovery, rtt

LONGEST = const(63000)

# The packet's head (see net/packet.py).
END = const(8)
MSS_HEAD = const(68)
TRAFFIC = const(70)
OUT_SEGMENT = const(200)

FIN = const(0x01)
PSH = const(0x08)
ACK = const(0x10)

# The block (see block.py).
STATE = const(10)
B_FLAGS = const(11)
EVENTS = const(12)
SND_UNA = const(13)
SND_NXT = const(14)
SND_MAX = const(15)
SND_WND = const(16)
QUEUED = const(23)
MSS = const(28)
MAX_WND = const(30)
UNACKED = const(32)
RTX_AT = const(37)
ACK_AT = const(38)
RTO = const(43)
CWND = const(48)
DUPACKS = const(53)
SACKED = const(63)
BEGAN_AT = const(86)
HOLE = const(89)
SENT_AT = const(91)
HOLE_LENGTH = const(90)
SCRATCH = const(92)
SND_SML = const(102)
ESTABLISHED = const(4)
IS_IP6 = const(0x1)
TIMESTAMPS = const(0x2)
ECN = const(0x10)
NODELAY = const(0x80)
CLOSING_DOWN = const(0x100)
FIN_SENT = const(0x200)
PERSIST = const(0x2000)
TIMED_OUT = const(0x1000)
REPAIRING = const(0x1800)  # RECOVERING, TIMED_OUT
CWND_LIMITED = const(0x2000000)
ACK_NOW = const(0x2)

# Shared words (see turn.py).
_RETRANSMITS = const(7)
_NO_PACKET = const(33)
NOW = const(64)
SHORT = const(92)
MASK = const(0x3FFFFFFF)


class Output:
    """Slots: allocate(), handshake(connection), finishing(block)."""

    def __init__(self, turn, segments, clock):
        self.state = turn.state
        self.count = turn.count
        self.mark = turn.mark
        self.segments = segments
        self.emit = segments.emit
        self.acknowledge = segments.acknowledge
        self.offloads = segments.offloads
        self.at = clock.at
        self.none = None
        self.allocate = None
        self.handshake = None
        self.finishing = None
        # Methods as slots: a call from viper finds them at once.
        self.send_all = self.send_all
        self.send = self.send
        self.retry = self.retry
        self.arm = self.arm
        self.next_hole = recovery.next_hole
        self.allowed = recovery.allowed
        self.resent = recovery.resent
        self.before_sending = congestion.before_sending
        self.sent = rtt.sent
        self.codepoint = ecn.codepoint
        self.announce = ecn.announce
        self.answer = ecn.answer
        self.delay = TCP_DELAYED_ACK_MS

    @micropython.viper
    def run(self, connection):
        block = ptr32(connection.block)
        if block[STATE] < ESTABLISHED:
            if block[STATE]:
                self.handshake(connection)
            return
        state = ptr32(self.state)
        short = state[_NO_PACKET]
        flags = block[B_FLAGS]
        block[SCRATCH] = block[SND_MAX] - block[SND_UNA]
        if (
            block[QUEUED] > block[SCRATCH]
            or flags & REPAIRING
            or flags & (CLOSING_DOWN | FIN_SENT) == CLOSING_DOWN
        ):
            self.send_all(connection)
            if state[_NO_PACKET] != short:
                return
        if block[EVENTS] & ACK_NOW or block[UNACKED] >= block[MSS] << 1:
            self.acknowledge(connection)
            if state[_NO_PACKET] != short:
                self.retry(connection)
        elif block[UNACKED] and block[ACK_AT] < 0:
            block[ACK_AT] = (state[NOW] + int(self.delay)) & MASK
            self.at(int(connection.index), block[ACK_AT])

    @micropython.viper
    def send_all(self, connection):
        block_ = connection.block
        block = ptr32(block_)
        state = ptr32(self.state)
        mss = block[MSS]
        longest = mss
        cuts = 4 if block[B_FLAGS] & IS_IP6 else 2
        if block[QUEUED] > mss and int(ptr8(self.offloads)[0]) & cuts:
            longest = LONGEST - LONGEST % mss
        if block[SND_UNA] == block[SND_MAX]:
            if (state[NOW] - block[SENT_AT]) & MASK > block[RTO]:
                self.before_sending(block_, state[NOW])
            block[SENT_AT] = state[NOW]
        if block[B_FLAGS] & REPAIRING:
            while int(self.next_hole(block_)):
                if not self.send_again(connection, longest):
                    return
        while True:
            flags = block[B_FLAGS]
            block[SCRATCH] = block[SND_MAX] - block[SND_UNA]
            offset = block[SCRATCH]
            unsent = block[QUEUED] - offset
            if unsent < 0:
                unsent = 0
            fin = 0
            if flags & (CLOSING_DOWN | FIN_SENT) == CLOSING_DOWN:
                fin = int(FIN)
            # What every rule but congestion control's lets out.
            room = block[SND_WND] - offset
            n = unsent
            if n > room:
                n = room
            if n >= mss:
                if n < unsent:
                    n -= n % mss
            elif n > 0 and n == unsent:
                block[SCRATCH] = block[SND_SML] - block[SND_UNA]
                if block[SCRATCH] > 0 and flags & NODELAY == 0 and fin == 0:
                    n = 0
            elif n < block[MAX_WND] >> 1 or n <= 0:
                n = 0
                if (unsent or (fin and room <= 0)) and block[SND_UNA] == block[SND_MAX]:
                    # Nothing will make the peer speak: its window may be lost (RFC 9293 3.8.6.1).
                    if block[RTX_AT] < 0:
                        block[B_FLAGS] |= PERSIST
                        self.arm(connection)
                    return
            if flags & REPAIRING or block[SACKED] | block[DUPACKS]:
                allowed = int(self.allowed(block_))
            else:
                allowed = block[CWND] - offset
            block[B_FLAGS] = flags & ~CWND_LIMITED
            if allowed < n:
                block[B_FLAGS] = flags | CWND_LIMITED
                # A full segment or nothing, unless nothing would ever come back.
                n = allowed
                if n < mss and offset:
                    n = 0
                if n < 0:
                    n = 0
            if n > longest:
                n = longest
            elif n > mss and n < unsent:
                n -= n % mss
            if n < unsent:
                fin = 0
            if n == 0 and (fin == 0 or room <= 0):
                return
            sent = int(self.send(connection, offset, n, fin))
            if sent < 0:
                return
            if sent < n:
                fin = 0
            n = sent + fin
            if fin:
                block[B_FLAGS] |= FIN_SENT
            block[SND_MAX] += n
            if block[B_FLAGS] & TIMED_OUT == 0:
                block[SND_NXT] = block[SND_MAX]
            if n < mss:
                block[SND_SML] = block[SND_MAX]
            if offset == 0:
                block[BEGAN_AT] = state[NOW]
            if flags & TIMESTAMPS == 0:
                self.sent(block_, state[NOW])
            if block[RTX_AT] < 0:
                # As `arm` does.
                block[RTX_AT] = (state[NOW] + block[RTO]) & MASK
                self.at(int(connection.index), block[RTX_AT])
            if fin:
                self.finishing(connection.block)
                return

    @micropython.viper
    def arm(self, connection):
        """RFC 6298 (5.1): there is something to wait for."""
        block = ptr32(connection.block)
        state = ptr32(self.state)
        block[RTX_AT] = (state[NOW] + block[RTO]) & MASK
        self.at(int(connection.index), block[RTX_AT])

    @micropython.viper
    def retry(self, connection):
        """There was no packet: another turn will look at it again, and at who is behind it."""
        state = ptr32(self.state)
        state[SHORT] = 1
        self.mark(connection)

    @micropython.viper
    def send(self, connection, offset: int, length: int, fin: int) -> int:
        """One packet with data from `offset` on; returns how much fitted, or -1."""
        block = ptr32(connection.block)
        state = ptr32(self.state)
        packet = self.allocate()
        if packet is None:
            state[_NO_PACKET] += 1
            self.retry(connection)
            return -1
        head = ptr16(packet.buffer)
        flags = block[B_FLAGS]
        size = 0
        if flags & TIMESTAMPS:
            size = 12
        head[END >> 1] = OUT_SEGMENT + 20 + size
        if length:
            asked = length
            length = int(connection.queue.fill(packet, offset, length))
            if length < asked:
                fin = 0
            if length > block[MSS]:
                head[MSS_HEAD >> 1] = block[MSS]
        what = ACK | fin | size << 8
        if offset + length == block[QUEUED] and length > 0:
            what |= PSH
        if flags & ECN:
            what |= int(self.answer(connection.block))
            block[SCRATCH] = block[SND_UNA] + offset - block[SND_MAX]
            if length != 0 and block[SCRATCH] >= 0 and flags & PERSIST == 0:
                what |= int(self.announce(connection.block))
                head[TRAFFIC >> 1] = int(self.codepoint(connection.block))
        self.emit(connection.block, packet, offset, what)
        return length

    @micropython.viper
    def send_again(self, connection, longest: int) -> bool:
        """Send (again) what recovery wants; False: there was no packet."""
        block = ptr32(connection.block)
        state = ptr32(self.state)
        offset = block[HOLE]
        n = block[HOLE_LENGTH]
        if n > longest:
            n = longest
        fin = 0
        if offset + n > block[QUEUED]:
            n = block[QUEUED] - offset
            fin = int(FIN)
        sent = int(self.send(connection, offset, n, fin))
        if sent < 0:
            return False
        if sent == n:
            sent += fin
        state[_RETRANSMITS] += 1
        self.resent(connection.block, sent)
        if block[RTX_AT] < 0:
            self.arm(connection)
        return True

    @micropython.viper
    def probe(self, connection):
        """RFC 9293 3.8.6.1: one byte, or FIN, into a closed window."""
        block = ptr32(connection.block)
        state = ptr32(self.state)
        flags = block[B_FLAGS]
        fin = 0
        n = 0
        if block[QUEUED]:
            n = 1
        elif flags & CLOSING_DOWN:
            fin = int(FIN)
        if n + fin == 0 or int(self.send(connection, 0, n, fin)) < 0:
            return
        if block[SND_MAX] == block[SND_UNA]:
            block[SND_MAX] += 1
            block[SND_NXT] = block[SND_MAX]
            block[BEGAN_AT] = state[NOW]
            if fin:
                block[B_FLAGS] |= FIN_SENT
                self.finishing(connection.block)
