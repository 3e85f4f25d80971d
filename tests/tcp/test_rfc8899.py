"""Path MTU discovery without ICMP: RFC 8899 section 4.3, RFC 4821."""

import pytest

from tests.tcp.peer import Peer, pattern


def arrived(peer, most, got):
    """How far the stream has come on a path that loses what is longer, saying nothing."""
    for segment in peer.take():
        if segment.length <= most and segment.seq <= got + 1:
            got = max(got, segment.seq - 1 + segment.length)
    return got


@pytest.mark.parametrize("family, most, least", [(4, 1220, 1220), (4, 1000, 536), (6, 1220, 1220)])
def test_rfc8899_4_3_what_is_long_and_gets_lost_again_and_again_is_sent_in_smaller_segments(
    family, most, least
):
    peer = Peer(family=family)
    service = peer.open(mss=1440)
    data = pattern(4 * 1440)
    service.connection.write(data)
    got = 0
    for _ in range(2000):
        peer.wait(100)
        got = arrived(peer, most, got)
        if got:
            break
    assert got % least == 0
    assert peer.count("path_mtu") == (1 if least == 1220 else 2)
    # And so is the rest.
    while got < len(data):
        peer.send(".", ack=got + 1)
        peer.wait(1)
        before, got = got, arrived(peer, least, got)
        assert got > before
    peer.send(".", ack=got + 1)
    peer.silent(1000)


def test_small_segments_that_get_lost_say_nothing_about_the_path():
    peer = Peer()
    service = peer.open(mss=1440)
    service.connection.write(b"small")
    peer.wait(30_000)
    assert all(segment.length == 5 for segment in peer.take())
    peer.send(".", ack=6)
    service.connection.write(pattern(3000))
    assert peer.take()[0].length == 1440
    assert peer.count("path_mtu") == 0


def test_a_few_losses_say_nothing_either():
    peer = Peer()
    service = peer.open(mss=1440)
    service.connection.write(pattern(1440))
    for _ in range(3):
        peer.expect("P.", within=2000, length=1440)
    peer.send(".", ack=1441)
    service.connection.write(pattern(1440))
    peer.expect("P.", length=1440)
