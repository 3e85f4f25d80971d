"""Our TCP and the Linux kernel's over a bad wire: what is written arrives, byte for byte."""

import binascii
import socket

import pytest

from tests.tap.conftest import OURS, STATIC, station
from tests.tcp.peer import pattern
from tests.tcp.services.faulty import LENGTH

pytestmark = [pytest.mark.tap, pytest.mark.timeout(180)]

__all__ = ["station"]

WIRES = {
    "lossy": ["drop=3"],
    "very lossy": ["drop=10"],
    "repeating": ["repeat=20"],
    "swapping": ["swap=20"],
    "delaying": ["hold=20"],
    "spoiling": ["spoil=3"],
    "everything": ["drop=2", "repeat=5", "swap=5", "hold=5", "spoil=2"],
}


def connected(station, port):
    """The handshake, too, may need several attempts."""
    tcp = station.namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
    tcp.settimeout(90)
    tcp.connect((OURS, port))
    return tcp


@pytest.mark.parametrize("wire", WIRES)
def test_the_kernel_gets_every_byte(station, wire):
    station.start(*STATIC, *WIRES[wire], service="tests.tcp.services.faulty")
    tcp = connected(station, 19)
    data = b""
    while True:
        part = tcp.recv(65536)
        if not part:
            break
        data += part
    assert data == pattern(LENGTH)


@pytest.mark.parametrize("wire", WIRES)
def test_we_get_every_byte_of_the_kernel(station, wire):
    station.start(*STATIC, *WIRES[wire], service="tests.tcp.services.faulty")
    data = pattern(LENGTH)
    tcp = connected(station, 9)
    tcp.sendall(data)
    tcp.shutdown(socket.SHUT_WR)
    answer = b""
    while not answer.endswith(b"\n"):
        part = tcp.recv(100)
        assert part, answer
        answer += part
    assert answer == b"%d %d\n" % (LENGTH, binascii.crc32(data))
