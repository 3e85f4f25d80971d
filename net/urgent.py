"""Urgent: what is answered at once, even while a service's callback burns the processor.

The driver shows frames that wait (docs/runtime.md); those that cause no callback of a service are
handled now, the others stay in order:

    ARP; ICMP and ICMPv6 echo requests; neighbour solicitations and advertisements;
    TCP segments without payload, whose consequences for services TCP puts off to its own turn

Above: nic.urgent_receive.  Below: ethernet.receive, as for every frame.
Left out: fragments, and IPv6 extension headers; they wait.
"""

import micropython
from micropython import const

END = const(8)
FRAME_TYPE = const(94)
DATAGRAM = const(96)

ARP = const(0x0608)  # network order in a little-endian word
IP4 = const(0x0008)
IP6 = const(0xDD86)
FRAGMENTED = const(0xFF3F)
ICMP = const(1)
TCP = const(6)
ICMP6 = const(58)
ECHO = const(8)
ECHO6 = const(128)
SOLICITATION = const(135)
ADVERTISEMENT = const(136)


def watch(interface):
    interface.nic.urgent_receive = Urgent(interface.ethernet.receive).receive


class Urgent:
    def __init__(self, receive):
        self.pass_on = receive

    @micropython.viper
    def receive(self, packet) -> bool:
        """True: the frame was handled; False: keep it for later."""
        head = ptr16(packet.buffer)
        octets = ptr8(head)
        there = int(head[END >> 1]) - DATAGRAM
        kind = int(head[FRAME_TYPE >> 1])
        # Everything that is looked at lies in the first 100 bytes of a datagram.
        if kind == IP4:
            size = (int(octets[DATAGRAM]) & 15) << 2
            length = int(octets[DATAGRAM + 2]) << 8 | int(octets[DATAGRAM + 3])
            if head[(DATAGRAM + 6) >> 1] & FRAGMENTED or size < 20 or length > there:
                return False
            protocol = int(octets[DATAGRAM + 9])
        elif kind == IP6:
            size = 40
            length = 40 + (int(octets[DATAGRAM + 4]) << 8 | int(octets[DATAGRAM + 5]))
            if length > there:
                return False
            protocol = int(octets[DATAGRAM + 6])
        elif kind == ARP:
            self.pass_on(packet)
            return True
        else:
            return False
        first = int(octets[DATAGRAM + size])
        if protocol == TCP:
            if length - size < 20 or length - size != int(octets[DATAGRAM + size + 12]) >> 4 << 2:
                return False
        elif protocol == ICMP:
            if length - size < 8 or first != ECHO or kind == IP6:
                return False
        elif protocol == ICMP6:
            if length - size < 8 or kind == IP4:
                return False
            if first != ECHO6 and first != SOLICITATION and first != ADVERTISEMENT:
                return False
        else:
            return False
        self.pass_on(packet)
        return True
