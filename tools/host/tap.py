"""A TAP device as a network interface (runtime's `nic`): one frame per system call.

Left out: offloads; frames are read one at a time and sent at once.
"""

import select

import hostio

from net.packet import FRAME, Pool
from tools.host.machine import LINE

HEADER = 14
MTU = 1500
PACKETS = 64


class TapNic:
    """`descriptor` does not block."""

    name = "eth0"
    line = LINE
    mtu = MTU
    link = True
    offloads = 0

    def __init__(self, descriptor, mac, poll):
        self.mac = mac
        self.descriptor = descriptor
        self.receive = None
        self.on_link = None
        self.urgent_receive = None
        self.pool = Pool("tap.transmit", PACKETS, gathers=True)
        self.packet = Pool("tap.receive", 1).allocate()
        self.room = memoryview(self.packet.buffer)[FRAME : FRAME + HEADER + MTU]
        self.no_packet = 0
        poll.register(descriptor, select.POLLIN)

    def service(self, budget):
        """Read up to `budget` frames."""
        packet = self.packet
        buffer = packet.buffer
        while budget:
            length = hostio.read(self.descriptor, self.room)
            if length == 0:
                return False
            packet.reset()
            buffer[0:2] = FRAME.to_bytes(2, "little")
            buffer[8:10] = (FRAME + length).to_bytes(2, "little")
            buffer[10:12] = bytes(2)
            if self.receive:
                self.receive(packet)
            budget -= 1
        return True

    def flush(self):
        pass

    def stop(self, patience):
        pass

    def allocate(self):
        packet = self.pool.allocate()
        if packet is None:
            self.no_packet += 1
        return packet

    def transmit(self, packet):
        buffer = packet.buffer
        if buffer[74]:
            frame = packet.gather()
            hostio.write(self.descriptor, frame, 0, len(frame))
        else:
            start = buffer[0] | buffer[1] << 8
            end = buffer[8] | buffer[9] << 8
            hostio.write(self.descriptor, buffer, start, end)
        packet.release()
