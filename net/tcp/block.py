"""The transmission control block: all that TCP knows of one connection, words in one bytearray.

RFC 9293 3.3.1, and the variables of RFC 3168, 5681, 6298, 6675, 7323 and 9438.  The numbers are
indices of words: `block = ptr32(connection.block)`, then `block[SND_UNA]`.  Sequence numbers are
kept in host order, modulo 2^32, and only viper touches them.  A difference of two is stored into
a scratch word and loaded again, which makes it a signed distance on CPython, too:

    block[SCRATCH] = block[SND_NXT] - block[SND_UNA]
    flight = block[SCRATCH]

     0               4               8               12              16
     +---------------+---------------+---------------+---------------+
     |                       local (16 bytes)                        |
     +---------------+---------------+---------------+---------------+
     |                       remote (16 bytes)                       |
     +---------------+---------------+---------------+---------------+
     |     ports     |    pseudo     |     state     |     flags     |
     +---------------+---------------+---------------+---------------+
     |    events     |    snd_una    |    snd_nxt    |    snd_max    |
     +---------------+---------------+---------------+---------------+
     |    snd_wnd    |    snd_wl1    |    snd_wl2    |      iss      |
     +---------------+---------------+---------------+---------------+
     |    rcv_nxt    |    rcv_adv    |      irs      |    queued     |
     +---------------+---------------+---------------+---------------+
     |      ...      |      ...      |      ...      |    scratch ...
     +---------------+---------------+---------------+---------------+

Times are milliseconds modulo 2^30 (runtime/timers.py); a deadline of -1 is a timer that is off.

snd_una, snd_nxt, snd_max   oldest unacknowledged; next to send (goes back after a timeout); one
                            behind the last ever sent
rcv_adv                     right edge of the window that the peer has been told
queued                      bytes in the send queue, from snd_una (data only, SYN and FIN not)
mss                         payload per segment to be sent, options and path MTU considered
Neighbours: everything in net/tcp.  A module repeats the constants it uses, because MicroPython
folds only its own; tests/tcp/test_core_layout.py compares them.
"""

from micropython import const

# Identity.  Addresses as bytes in network order, 4 or 16 of them, the rest is zero.
LOCAL = const(0)  # 4 words
REMOTE = const(4)  # 4 words
PORTS = const(8)  # remote, then local port, as in the header of what we receive
PSEUDO = const(9)  # sum of addresses and protocol: where each checksum begins
STATE = const(10)
FLAGS = const(11)
EVENTS = const(12)

# Send sequence variables, RFC 9293 3.3.1.
SND_UNA = const(13)
SND_NXT = const(14)
SND_MAX = const(15)
SND_WND = const(16)  # in bytes, scaled already
SND_WL1 = const(17)
SND_WL2 = const(18)
ISS = const(19)

# Receive sequence variables.
RCV_NXT = const(20)
RCV_ADV = const(21)
IRS = const(22)

# Amounts.
QUEUED = const(23)
RCV_SPACE = const(24)  # the window if the service held nothing
HELD = const(25)  # delivered bytes that the service still keeps
SND_SCALE = const(26)  # shifts of the window fields, RFC 7323 2
RCV_SCALE = const(27)
MSS = const(28)
PEER_MSS = const(29)  # as the peer's SYN said, or the default
MAX_WND = const(30)  # largest window the peer ever offered (silly windows, RFC 9293 3.8.6.2.1)
FIN_SEQ = const(31)  # where the peer's FIN is, if FIN_HEARD
UNACKED = const(32)  # bytes received since our last acknowledgement

# Timestamps, RFC 7323.
TS_RECENT = const(33)
TS_RECENT_AT = const(34)  # when it was taken, ms
TS_OFFSET = const(35)  # our clock as this peer sees it is ms + TS_OFFSET
LAST_ACK = const(36)  # Last.ACK.sent

# Deadlines, -1: off.
RTX_AT = const(37)  # retransmission, or a probe of a closed window
ACK_AT = const(38)  # delayed acknowledgement
KEEP_AT = const(39)  # keepalive
GONE_AT = const(40)  # end of FIN-WAIT-2, user timeout

# Round trip and retransmission timeout, RFC 6298 (rtt.py).
SRTT = const(41)  # in 1/8 ms; 0: no measurement yet
RTTVAR = const(42)  # in 1/4 ms
RTO = const(43)  # ms
BACKOFF = const(44)  # timeouts in a row
RTT_SEQ = const(45)  # without timestamps: the segment that is being timed ends here
RTT_AT = const(46)  # when it was sent, -1: none is timed
RETRANSMITS = const(47)  # segments sent again, since the beginning

# Congestion control, RFC 5681, 6582, 9438 (recovery).
CWND = const(48)
SSTHRESH = const(49)
RECOVER = const(50)
HIGH_RXT = const(51)
PIPE = const(52)
DUPACKS = const(53)
CUBIC = const(54)  # 8 words
ACKED = const(62)  # bytes counted towards the next step of the window (RFC 3465)

# What the peer has selectively acknowledged, RFC 6675: ranges [start, end), ascending.
SACKED = const(63)  # how many ranges are known
SACK = const(64)  # SACKS times start, end
SACKS = const(8)

# Settings of the service, ms; -1: off.
USER_TIMEOUT = const(80)
KEEP_IDLE = const(81)
KEEP_INTERVAL = const(82)
KEEP_COUNT = const(83)
KEEP_SENT = const(84)  # probes since we last heard something
HEARD_AT = const(85)  # when that was
BEGAN_AT = const(86)  # when the oldest unacknowledged byte was sent first (user timeout)

# Congestion control and recovery once more.
CWR_SEQ = const(87)  # until this is acknowledged ECE is not news (ecn.py)
HOLE = const(89)  # what recovery.next wants to be sent: distance from snd_una, and length
HOLE_LENGTH = const(90)
SENT_AT = const(91)  # when data was sent last (restart after idle)
SCRATCH = const(92)  # 4 words, meaningless between two statements
HYSTART = const(96)  # 5 words, RFC 9406 (hystart.py)
PRIOR_CWND = const(101)  # before the last reduction
SND_SML = const(102)  # end of the last segment that was not full (Nagle as Minshall has it)
REASON = const(103)  # errno of the end
WORDS = const(104)
SIZE = const(416)

# STATE, RFC 9293 3.3.2.  TIME-WAIT and the passive SYN-RECEIVED have rows of their own instead of a
# block (timewait.py, halfopen.py).
CLOSED = const(0)
LISTEN = const(1)
SYN_SENT = const(2)
SYN_RECEIVED = const(3)
ESTABLISHED = const(4)
FIN_WAIT_1 = const(5)
FIN_WAIT_2 = const(6)
CLOSE_WAIT = const(7)
CLOSING = const(8)
LAST_ACK_STATE = const(9)
TIME_WAIT = const(10)
STATES = (
    "CLOSED",
    "LISTEN",
    "SYN-SENT",
    "SYN-RECEIVED",
    "ESTABLISHED",
    "FIN-WAIT-1",
    "FIN-WAIT-2",
    "CLOSE-WAIT",
    "CLOSING",
    "LAST-ACK",
    "TIME-WAIT",
)

# FLAGS.
IS_IP6 = const(0x1)
TIMESTAMPS = const(0x2)  # RFC 7323, both sides said so
SACK_OK = const(0x4)  # RFC 2018
SCALED = const(0x8)  # window scale option on both SYNs
ECN = const(0x10)  # RFC 3168, negotiated
ECE_DUE = const(0x20)  # congestion was experienced: set ECE until the peer says CWR
CWR_DUE = const(0x40)  # the window was reduced: set CWR on the next new data
NODELAY = const(0x80)  # no Nagle
CLOSING_DOWN = const(0x100)  # close() was called: FIN follows the queue
FIN_SENT = const(0x200)  # FIN is the byte behind the queue, and was sent
FIN_HEARD = const(0x400)  # out of order: FIN_SEQ says where
RECOVERING = const(0x800)  # fast recovery, until RECOVER is acknowledged
TIMED_OUT = const(0x1000)  # recovery after a timeout, until RECOVER is acknowledged
PERSIST = const(0x2000)  # the window is closed: RTX_AT is a window probe
KEEPALIVE = const(0x4000)
OUT_OF_ORDER = const(0x8000)  # reassembly holds something
STARVED = const(0x20000)  # write() took less than offered
WANT_ECN = const(0x100000)  # our SYN asked for ECN
FORCED = const(0x1000000)  # the next hole goes out whatever the window says (recovery)
CWND_LIMITED = const(0x2000000)  # cwnd, not lack of data, ended the last output (congestion)
RENO = const(0x4000000)  # congestion avoidance as in RFC 5681 instead of CUBIC
RESCUED = const(0x8000000)  # this recovery has had its rescue retransmission

# EVENTS: what the next turn has to do.
QUEUED_UP = const(0x1)  # the connection waits for the turn
ACK_NOW = const(0x2)
OUTPUT = const(0x4)  # there may be something to send
ACCEPTED = const(0x8)  # call on_connection
CONNECTED = const(0x10)  # call on_connected
ENDED = const(0x20)  # call on_end
WRITABLE = const(0x40)  # call on_writable
GONE = const(0x80)  # call on_close and forget the connection
OVER = const(0x200)  # the connection is out of the table
WAITS = const(0x400)  # for a chunk (tcp.py)
