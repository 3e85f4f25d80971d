"""Our TCP against the Linux kernel's, over a TAP device, on both interpreters."""

import socket

import pytest

from tests.tap.conftest import KERNEL, OURS, STATIC, station
from tests.tcp.pairs import noise

pytestmark = pytest.mark.tap
METER = "tests.tcp.services.meter"

__all__ = ["station"]


def connected(station, port):
    tcp = station.namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
    tcp.settimeout(20)
    tcp.connect((OURS, port))
    return tcp


def read(tcp, length=None):
    """So many bytes, or all until the end."""
    data = b""
    while length is None or len(data) < length:
        part = tcp.recv(65536)
        if not part:
            break
        data += part
    return data


def test_open_echo_close(station):
    station.start(*STATIC, service=METER)
    tcp = connected(station, 7)
    for text in (b"hello", b"again", noise(1400)):
        tcp.sendall(text)
        assert read(tcp, len(text)) == text
    tcp.shutdown(socket.SHUT_WR)
    assert read(tcp) == b""


def test_bulk_in_both_directions(station):
    station.start(*STATIC, service=METER)
    tcp = connected(station, 19)
    assert len(read(tcp, 3_000_000)) >= 3_000_000
    tcp.close()
    tcp = connected(station, 9)
    tcp.sendall(bytes(2_000_000))
    tcp.shutdown(socket.SHUT_WR)
    assert read(tcp) == b""


def test_a_closed_port_resets(station):
    station.start(*STATIC, service=METER)
    with pytest.raises(ConnectionRefusedError):
        connected(station, 81)


def test_many_connections_one_after_the_other(station):
    station.start(*STATIC, service=METER)
    for _ in range(100):
        tcp = connected(station, 80)
        tcp.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert len(read(tcp, 1041)) == 1041
        tcp.close()


def test_many_connections_at_once(station):
    station.start(*STATIC, service=METER)
    several = [connected(station, 7) for _ in range(50)]
    for number, tcp in enumerate(several):
        tcp.sendall(b"%5d" % number * 100)
    for number, tcp in enumerate(several):
        assert read(tcp, 500) == b"%5d" % number * 100
        tcp.close()


def test_the_kernel_agrees_about_options(station):
    station.start(*STATIC, service=METER)
    tcp = connected(station, 7)
    tcp.sendall(b"x")
    assert read(tcp, 1) == b"x"
    shown = station.namespace.run("ss", "-tin", "dst", OURS).stdout
    # With 12 bytes of timestamps in each segment.
    for word in ("wscale:3,", "mss:1448 ", "advmss:1448 ", "snd_wnd:262144", KERNEL):
        assert word in shown, shown
