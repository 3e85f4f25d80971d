"""Ethernet II: frames for us rise to the protocol they name.  RFC 894; RFC 1122 section 2.3.

     0               2               4               6               8
     +---------------+---------------+---------------+---------------+
     |                  destination                  |    source     :
     +---------------+---------------+---------------+---------------+
     :          source (end)         |     type      |
     +---------------+---------------+---------------+

Above: arp, ip4, ip6, each a slot; an empty one counts.  Below: nic.
Left out: VLAN tags (802.1Q) and IEEE 802.3 length frames are dropped as unknown.  Sending: a
neighbour's entry is a ready-made header (see arp), nothing is left to be done here.
"""

import micropython
from micropython import const

from runtime.counters import Counters

DESTINATION = const(0)
SOURCE = const(6)
TYPE = const(12)
SIZE = const(14)

IP4 = const(0x0800)
ARP = const(0x0806)
IP6 = const(0x86DD)

# The same as viper finds them, network order in a little-endian word.
_IP4 = const(0x0008)
_ARP = const(0x0608)
_IP6 = const(0xDD86)

END = const(8)
FLAGS = const(10)
FRAME = const(82)
BROADCAST = const(0x01)
MULTICAST = const(0x02)

# State: counters, then our address.
_SHORT = const(0)
_ADDRESS = const(1)
_UNKNOWN = const(2)
_MAC = const(12)


class Ethernet:
    def __init__(self, mac, registry):
        self.mac = bytes(mac)
        self.state = bytearray(_MAC + 8)
        self.state[_MAC : _MAC + 6] = self.mac
        drops = ("short", "address", "unknown")
        registry.add(Counters("ethernet", (), drops, self.state))
        self.ip4 = self.arp = self.ip6 = self.unknown

    @micropython.viper
    def receive(self, packet):
        """A frame lies between FRAME and END."""
        head = ptr16(packet.buffer)
        state = ptr16(self.state)
        frame = FRAME >> 1
        if int(head[END >> 1]) < FRAME + SIZE:
            ptr32(state)[_SHORT] += 1
            return
        if (
            head[frame] != state[_MAC >> 1]
            or head[frame + 1] != state[(_MAC >> 1) + 1]
            or head[frame + 2] != state[(_MAC >> 1) + 2]
        ):
            if head[frame] & 1 == 0:
                # A switch floods frames for stations that it does not know yet.
                ptr32(state)[_ADDRESS] += 1
                return
            if head[frame] & head[frame + 1] & head[frame + 2] == 0xFFFF:
                head[FLAGS >> 1] |= BROADCAST
            else:
                head[FLAGS >> 1] |= MULTICAST
        protocol = int(head[frame + (TYPE >> 1)])
        if protocol == _IP4:
            self.ip4(packet)
        elif protocol == _ARP:
            self.arp(packet)
        elif protocol == _IP6:
            self.ip6(packet)
        else:
            ptr32(state)[_UNKNOWN] += 1

    @micropython.viper
    def unknown(self, packet):
        """Nobody here speaks the protocol of this frame."""
        state = ptr32(self.state)
        state[_UNKNOWN] += 1
