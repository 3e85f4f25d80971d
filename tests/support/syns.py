"""SYNs from addresses where nobody is, one at a time: what each costs the machine.

    ask = spoofer(lab)               ask() sends one and wants its SYN-ACK
    ask = spoofer(lab, answers=0)    ... or does not wait, for those that are to be dropped

The first ones make rows of half-open connections; after as many as the backlog has, cookies.
"""

import random
import socket
import struct
import time

from tests.support import load
from tests.support.instructions import ADDRESS

OPTIONS = bytes.fromhex("020405b4 0402080a 00000001 00000000 01030307")


def syn(source, port, number, to=ADDRESS, service=80, options=OPTIONS):
    """An IPv4 datagram with a SYN."""
    ends = source + socket.inet_aton(to)
    size = 20 + len(options)
    ports = struct.pack(">HHIIBBHHH", port, service, number, 0, size << 2, 2, 64240, 0, 0)
    total = load.checksum(ends + struct.pack(">HH", 6, size) + ports + options)
    segment = ports[:16] + struct.pack(">H", total) + ports[18:] + options
    return struct.pack(">BBHHHBBH", 0x45, 0, 20 + size, 0, 0, 64, 6, 0) + ends + segment


def spoofer(lab, answers=1, timeout=0.5):
    dice = random.Random(4987)
    raw = lab.namespace.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    heard = lab.namespace.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
    heard.settimeout(timeout)

    def ask():
        source = bytes([198, 18, dice.randrange(256), dice.randrange(1, 255)])
        port = dice.randrange(1024, 65536)
        raw.sendto(syn(source, port, dice.getrandbits(32)), (ADDRESS, 0))
        end = time.monotonic() + timeout
        while answers and time.monotonic() < end:
            try:
                packet = heard.recv(2048)
            except TimeoutError:
                return False
            if packet[16:20] == source and packet[33] == 0x12:
                return True
        return not answers

    return ask
