"""Our stack against the Linux kernel and its tools: what the RFCs mean is what the neighbour
understands.
"""

import pytest

from tests.support.load import Frames, pings
from tests.tap.conftest import KERNEL, MAC, OURS, STATIC


@pytest.mark.parametrize("size", [0, 1, 56, 1472, 1473, 2000, 9000, 16000])
def test_ping_of_size(station, size):
    """1472 fills an Ethernet frame; above it, fragments both ways."""
    station.start(*STATIC)
    assert pings(station.namespace, OURS, size, 3) == 3
    done = station.namespace.run("ping", "-n", "-c", 1, "-W", 2, "-s", size, OURS)
    assert " 0% packet loss" in done.stdout
    assert station.drops() == {}


def test_rfc791_fragments_are_made_and_put_together_at_a_small_mtu(station):
    station.start(*STATIC)
    station.namespace.run("ip", "link", "set", "tap0", "mtu", 576)
    assert pings(station.namespace, OURS, 4000, 3) == 3


def test_ping_flood_loses_nothing(station):
    station.start(*STATIC)
    assert pings(station.namespace, OURS, 56, 2000, 20) == 2000


def test_ping_pattern_comes_back(station):
    station.start(*STATIC)
    done = station.namespace.run("ping", "-n", "-c", 1, "-p", "a5005aff", "-s", 1000, OURS)
    assert "wrong data" not in done.stdout


@pytest.mark.parametrize("size", [0, 1, 2, 511, 1471, 1472])
def test_udp_echo(station, size):
    station.start(*STATIC)
    socket = station.namespace.socket()
    socket.connect((OURS, 7))
    data = bytes(i * 7 & 0xFF for i in range(size))
    for _ in range(3):
        socket.send(data)
        assert socket.recv(4096) == data


def test_udp_echo_of_a_fragmented_datagram(station):
    station.start(*STATIC)
    socket = station.namespace.socket()
    socket.connect((OURS, 7))
    data = bytes(i * 13 & 0xFF for i in range(5000))
    socket.send(data)
    assert socket.recv(8192) == data


def test_rfc1122_closed_port_is_port_unreachable_to_the_kernel(station):
    station.start(*STATIC)
    socket = station.namespace.socket()
    socket.connect((OURS, 12345))
    socket.send(b"anybody?")
    with pytest.raises(ConnectionRefusedError):
        socket.recv(100)


def test_rfc1122_port_unreachable_from_the_kernel_reaches_the_socket(station):
    station.start(*STATIC)
    assert station.ask(f"send {KERNEL} 12345") == "sent"
    station.process.wait_for(f"unreachable {KERNEL} 12345 3 3")


def test_rfc1122_unknown_protocol_is_protocol_unreachable(station):
    station.start(*STATIC)
    raw = station.namespace.socket(kind=3, protocol=200)  # SOCK_RAW
    icmp = station.namespace.socket(kind=3, protocol=1)
    raw.sendto(b"what is 200?", (OURS, 0))
    while True:
        packet = icmp.recv(2048)
        if packet[20] == 3:
            break
    assert packet[21] == 2


def test_rfc826_arping_is_answered_with_our_address(station):
    station.start(*STATIC)
    done = station.namespace.run("arping", "-c", 2, "-W", 0.1, "-i", "tap0", OURS)
    assert MAC in done.stdout
    assert "2 packets received" in done.stdout


def test_arp_for_others_is_not_answered(station):
    station.start(*STATIC)
    done = station.namespace.run(
        "arping", "-c", 1, "-W", 0.3, "-i", "tap0", "10.0.0.77", check=False
    )
    assert "0 packets received" in done.stdout


def test_bad_checksums_are_counted_and_dropped(station):
    station.start(*STATIC)
    frames = Frames(station.namespace)
    ethernet = bytes.fromhex(MAC.replace(":", "")) + frames.mac + b"\x08\x00"
    header = bytes.fromhex("4500001c00004000401100000a0000010a000002")
    frames.send(ethernet + header + bytes(8))
    drops = station.drops()
    assert drops["ip4.checksum"] == 1
