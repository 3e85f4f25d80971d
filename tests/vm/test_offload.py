"""Checksums, segmentation and frames of 64 KB between the driver and QEMU's device."""

import random
import socket
import struct

import pytest

from tests.support import images, vm
from tests.support.namespace import Namespace
from tests.vm.conftest import MAC

pytestmark = pytest.mark.timeout(300)  # the first one builds the image
MIRROR = str(images.ROOT / "tests" / "vm" / "services" / "offload.py")
SOL_PACKET, PACKET_VNET_HDR = 263, 15
HEADER = "<BBHHHH"


class Wire:
    """The kernel's side of the TAP device: frames with the header that says how to cut them."""

    def __init__(self):
        self.namespace = Namespace()
        self.tap = vm.Tap(self.namespace.tap(address=None, offloads=True))
        self.raw = self.namespace.inside(self.open)
        self.raw.settimeout(5)

    def open(self):
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        raw.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        raw.bind(("tap0", 0))
        return raw

    def send(self, data, mss):
        """A TCP segment of any length, to be cut or passed on whole, its checksum unfinished."""
        mac = bytes.fromhex(MAC.replace(":", ""))
        frame = mac + b"\2\0\0\0\0\1" + b"\x08\x00"
        frame += struct.pack(">BBHHHBBH", 0x45, 0, 40 + len(data), 1, 0, 64, 6, 0)
        frame += bytes([10, 0, 0, 1, 10, 0, 0, 2])
        frame += struct.pack(">HHIIBBHHH", 1, 2, 3, 4, 0x50, 0x10, 1000, 0, 0) + data
        cut = len(data) > mss
        header = struct.pack(HEADER, 1, int(cut), 54, mss if cut else 0, 34, 16)
        self.raw.send(header + frame)

    def receive(self):
        """(header, frame) of the next TCP frame from the machine."""
        while True:
            data = self.raw.recv(70000)
            header, frame = struct.unpack(HEADER, data[:10]), data[10:]
            if frame[12:14] == b"\x08\x00" and frame[6:12].hex(":") == MAC:
                return header, frame

    def close(self):
        self.raw.close()
        self.namespace.close()


@pytest.fixture
def wire():
    made = Wire()
    yield made
    made.close()


@pytest.mark.parametrize("virtio", vm.VIRTIO)
def test_large_frames_both_ways(image, wire, virtio):
    elf = image(MIRROR) / "offload.elf"
    with vm.Machine(elf, nic=wire.tap, virtio=virtio, memory="32M") as guest:
        guest.wait_for("offloads: 7 merge: 1")
        guest.wait_for("link is up")
        dice = random.Random(1)
        for length in [1000, 1448, 1449, 1967, 20000, 60000, 64000] * 20:
            data = dice.randbytes(length)
            wire.send(data, 1448)
            header, frame = wire.receive()
            assert frame[54:] == data
            # The checksum was left open on the way in, and is on the way out; large ones are cut.
            assert frame[26] == 4
            cut = length > 1448
            assert header == (1, int(cut), header[2], 1448 if cut else 0, 34, 16)


def test_little_memory_gets_no_large_frames(image, wire):
    elf = image(MIRROR) / "offload.elf"
    with vm.Machine(elf, nic=wire.tap, memory="4M") as guest:
        guest.wait_for("offloads: 7 merge: 0")
        wire.send(bytes(5000), 1448)
        assert sum(len(wire.receive()[1]) - 54 for _ in range(4)) == 5000
