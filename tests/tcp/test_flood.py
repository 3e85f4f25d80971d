"""A flood of SYNs: cookies let new connections in, and those that there are go on.  RFC 4987."""

import pytest

from net import config
from net.tcp import turn
from net.tcp.words import put, word
from tests.tcp.peer import Peer, pattern

MSS = 1000
ROOM = config.TCP_HALF_OPEN


def flood(peer, count, first=1024):
    """SYNs of somebody who will never answer."""
    heard = []
    for i in range(count):
        peer.port = first + i
        peer.send("S", seq=0, mss=1460, scale=7, sack_permitted=True, ts=(i, 0))
        heard += peer.take()
    return heard


def test_rfc4987_3_6_under_a_flood_new_connections_get_in():
    """When the table is full the SYN-ACK is a cookie, and its acknowledgement a connection."""
    peer = Peer()
    service = peer.listen()
    flooder = peer.another(port=1)
    answers = flood(flooder, ROOM + 50)
    assert len(answers) == ROOM + 50
    assert peer.tcp.counts()["half_open"] <= ROOM
    assert peer.count("cookies_sent") >= 50
    peer.open(service=service, mss=1200, scale=5, sack=True, ts=True)
    assert service.connected
    info = service.connection.info()
    assert (info["sack"], info["scaled"], info["timestamps"]) == (True, True, True)
    peer.send("P.", data=b"hello")
    peer.expect(".", within=100, ack=6, ts=True)
    assert service.data == b"hello"
    assert peer.count("cookies_accepted") == 1
    service.connection.write(pattern(3000))
    assert peer.take()[0].length <= 1200 - 12


def test_rfc4987_a_cookie_without_timestamps_has_no_options():
    peer = Peer()
    service = peer.listen()
    flood(peer.another(port=1), ROOM + 1)
    peer.open(service=service, mss=1460, scale=5, sack=True)
    info = service.connection.info()
    assert (info["sack"], info["scaled"], info["timestamps"]) == (False, False, False)
    service.connection.write(pattern(3000))
    assert peer.take()[0].length == 1460


def test_rfc4987_existing_connections_do_not_notice():
    peer = Peer()
    service = peer.open(mss=MSS)
    flood(peer.another(port=1, to=80), 3 * ROOM)
    peer.send("P.", data=b"still here")
    peer.expect(".", within=100, ack=11)
    assert service.data == b"still here"


def burst(peer, count, first, other=None, **what):
    """Frames that come within one turn, with data of another peer."""
    peer.world.turn = lambda: None
    if other:
        other.send("P.", data=b"x")
    for i in range(count):
        peer.port = first + i
        peer.send(**what)
    del peer.world.turn
    peer.world.run()


@pytest.mark.parametrize(
    "what, counter, saved",
    [
        ({"flags": "S", "seq": 0, "mss": 1460}, "syn_share", turn.SYNS),
        ({"flags": ".", "seq": 1, "ack": 1}, "stranger_share", turn.STRANGERS),
    ],
)
def test_a_flood_takes_a_share_of_each_turn(what, counter, saved):
    """What is saved up, then so many a turn; connections go on, and nothing stays that way."""
    peer = Peer()
    service = peer.open(mss=MSS)
    flooder = peer.another(port=1)
    assert word(peer.tcp.turn.state, saved) >= config.TCP_STRANGERS_SAVED
    put(peer.tcp.turn.state, saved, 100)
    answered = []
    for number in range(5):
        burst(flooder, 64, 1024 + 64 * number, peer, **what)
        answered.append(len(flooder.take()) + len(flooder.wire.others))
        flooder.wire.others.clear()
    share = config.TCP_STRANGERS_PER_TURN
    assert answered == [64, 36 + share, share, share, share]
    assert peer.drops["tcp." + counter] == 64 * 5 - sum(answered)
    assert service.data == b"x" * 5
    # Slower than that, and all are answered; what was spent is saved up again.
    before = peer.drops["tcp." + counter]
    for number in range(20):
        burst(flooder, share // 4, 10_000 + 4 * number, **what)
    burst(flooder, 15 * share, 20_000, **what)
    assert peer.drops["tcp." + counter] == before


@pytest.mark.parametrize("guess", [0, 12345, 0x7FFFFFFF])
def test_rfc4987_an_invented_cookie_is_refused(guess):
    peer = Peer()
    service = peer.listen()
    flood(peer.another(port=1), ROOM + 1)
    peer.us = guess
    peer.send(".", seq=1, ack=1)
    peer.expect("R", seq=1)
    assert not service.connected
    assert peer.drops["tcp.cookie"] == 1


def test_rfc4987_a_cookie_does_not_last():
    """Two time slots: what comes minutes later is refused."""
    peer = Peer()
    service = peer.listen()
    flood(peer.another(port=1), ROOM + 1)
    peer.send("S", mss=1460)
    peer.expect("S.")
    peer.wait(140_000)
    peer.take()
    peer.send(".")
    peer.expect("R")
    assert not service.connected


def test_rfc4987_without_a_flood_no_acknowledgement_is_looked_at_as_a_cookie():
    peer = Peer()
    peer.listen()
    peer.us = 0
    peer.send(".", seq=1, ack=1)
    peer.expect("R", seq=1)
    assert "tcp.cookie" not in peer.drops


def test_the_flood_is_forgotten():
    """Rows are free again when nobody has answered; the wire is quiet."""
    peer = Peer()
    peer.listen()
    flood(peer.another(port=1), 2 * ROOM)
    peer.wait(200_000)
    peer.silent(60_000)
    assert set(peer.tcp.counts().values()) == {0}
    assert peer.drops["tcp.no_half_open"] >= ROOM


def test_a_backlog_of_its_own_is_kept_for_each_listener():
    peer = Peer()
    peer.listen(backlog=4)
    flood(peer.another(port=1), 6)
    assert peer.tcp.counts()["half_open"] == 4
