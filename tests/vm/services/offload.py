"""Sends every TCP frame back, as large as it came; the device cuts it into segments."""

import drivers.virtio.net.offload  # noqa: F401
from net.packet import END, FLAGS, LINK, MSS, OUT_FRAME, OUT_SEGMENT, PARTIAL, PROTOCOL


def u16(buffer, at, value):
    buffer[at] = value & 0xFF
    buffer[at + 1] = value >> 8


class Mirror:
    def __init__(self, nic):
        self.nic = nic
        nic.receive = self.receive

    def receive(self, packet):
        buffer = packet.buffer
        if buffer[94] != 8 or buffer[105] != 6:
            return  # not TCP over IPv4
        out = self.nic.allocate()
        to = out.buffer
        to[OUT_FRAME : OUT_FRAME + 54] = buffer[82:136]
        to[OUT_FRAME : OUT_FRAME + 6] = buffer[88:94]
        to[OUT_FRAME + 6 : OUT_FRAME + 12] = buffer[82:88]
        # What the driver says about it goes where the source address was.
        to[OUT_FRAME + 26] = buffer[FLAGS]
        u16(to, LINK, OUT_FRAME)
        u16(to, END, OUT_SEGMENT + 20)
        u16(to, FLAGS, PARTIAL)
        u16(to, PROTOCOL, 6)
        u16(to, MSS, 1448)
        data = bytes(buffer[136 : packet.end])
        third = len(data) // 3
        out.append(data, 0, third)
        out.append(memoryview(data), third, third)
        out.append(data, 2 * third, len(data) - 2 * third)
        self.nic.transmit(out)


def start(machine):
    Mirror(machine.nic)
    print("offloads:", machine.nic.offloads, "merge:", machine.nic.merge)
