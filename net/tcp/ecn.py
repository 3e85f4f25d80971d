"""Explicit congestion notification: RFC 3168 section 6.1, and 8311 as far as it changes that.

    received(block, bits, marked, length)   of every acceptable segment; `bits`: its TCP flags
    bits = answer(block)                    ECE, as long as it is due, for what we send
    bits = announce(block)                  CWR, once, for new data only
    codepoint(block)                        what goes into the traffic class of new data: ECT(0)

New data is sent as ECT(0); retransmissions, pure acknowledgements and window probes are not (RFC
3168 6.1.4 to 6.1.6): a router that is congested drops those, and they do not count as losses.
Left out: AccECN, ECT(1), ECN on SYN (RFC 8311 allows experiments).
"""

import micropython
from micropython import const

from net.tcp import congestion

ECT0 = const(2)
TCP_SYN = const(0x02)
TCP_ACK = const(0x10)
TCP_ECE = const(0x40)
TCP_CWR = const(0x80)

# The block (see block.py).
FLAGS = const(11)
ECN = const(0x10)
ECE_DUE = const(0x20)
CWR_DUE = const(0x40)


@micropython.viper
def received(block_, bits: int, marked: int, length: int):
    """`marked`: the datagram came with CE; `length`: its payload."""
    block = ptr32(block_)
    if block[FLAGS] & ECN == 0 or bits & TCP_SYN:
        return
    if length:
        # 6.1.3: CWR ends the echo, a mark on the same segment begins it anew.
        if bits & TCP_CWR:
            block[FLAGS] &= ~ECE_DUE
        if marked:
            block[FLAGS] |= ECE_DUE
    if bits & TCP_ECE and bits & TCP_ACK:
        congestion.on_ecn(block_)


@micropython.viper
def answer(block_) -> int:
    block = ptr32(block_)
    if block[FLAGS] & ECE_DUE:
        return TCP_ECE
    return 0


@micropython.viper
def announce(block_) -> int:
    """6.1.2: the first new data after the reduction says that it has happened."""
    block = ptr32(block_)
    if block[FLAGS] & CWR_DUE:
        block[FLAGS] &= ~CWR_DUE
        return TCP_CWR
    return 0


@micropython.viper
def codepoint(block_) -> int:
    block = ptr32(block_)
    if block[FLAGS] & ECN:
        return ECT0
    return 0
