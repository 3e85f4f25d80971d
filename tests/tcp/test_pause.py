"""A machine that was paused: the clock has jumped, and that says nothing about its peers.

What they said meanwhile comes late; a timer that fires late is no reason to conclude anything
(net/tcp/timers.py), and a round trip over the pause is none (net/tcp/rtt.py).
"""

import pytest

from tests.tcp.peer import Peer, pattern

MINUTE = 60_000
PAUSES = [2_000, 30_000, 10 * MINUTE, 24 * 60 * MINUTE]


def pause(peer, ms):
    """Nothing happens for so long, not even what is due."""
    peer.world.time += ms
    peer.mark = peer.world.time


@pytest.mark.parametrize("ms", PAUSES)
@pytest.mark.parametrize("ts", [True, False], ids=["timestamps", "plain"])
def test_what_was_under_way_is_not_given_up(ms, ts):
    peer = Peer()
    service = peer.open(mss=1000, ts=ts)
    service.connection.set(user_timeout=10_000)
    service.connection.write(pattern(500))
    peer.expect("P.", seq=1, length=500)
    pause(peer, ms)
    # Nobody has answered: it is sent again, not at once, and not for nothing.
    peer.expect("P.", after=(200, 3000), seq=1, length=500)
    assert service.reason is None
    peer.send(".", ack=501)
    service.connection.write(pattern(10))
    peer.expect("P.", seq=501, length=10)
    assert service.state == "ESTABLISHED"


def test_a_peer_that_stays_silent_is_given_up():
    peer = Peer()
    service = peer.open(mss=1000)
    service.connection.set(user_timeout=10_000)
    service.connection.write(pattern(500))
    peer.expect("P.", seq=1, length=500)
    pause(peer, 30_000)
    peer.world.run(9_000)
    assert service.reason is None
    peer.world.run(20_000)
    assert service.reason == 110


@pytest.mark.parametrize("ms", PAUSES)
def test_an_answer_that_waited_makes_a_repetition_needless(ms):
    peer = Peer()
    service = peer.open(mss=1000, ts=True)
    service.connection.write(pattern(500))
    peer.expect("P.", seq=1, length=500)
    pause(peer, ms)
    peer.world.run(50)  # the timer fires before the device has been looked at
    peer.send(".", ack=501)
    peer.silent(2_000)
    assert service.connection.info()["retransmits"] == 0


@pytest.mark.parametrize("first", ["segment", "timer"])
@pytest.mark.parametrize("ts", [True, False], ids=["timestamps", "plain"])
def test_a_pause_is_no_round_trip(ts, first):
    peer = Peer()
    service = peer.open(mss=1000, ts=ts)
    for number in range(5):
        service.connection.write(pattern(500))
        peer.expect("P.", seq=1 + 500 * number, length=500)
        peer.world.run(20)
        peer.send(".")
    before = service.connection.info()
    service.connection.write(pattern(500))
    peer.expect("P.", seq=2501)
    pause(peer, 30_000)
    if first == "timer":
        peer.world.run(10)
    peer.send(".")
    after = service.connection.info()
    assert after["rtt"] <= 2 * before["rtt"]
    assert after["rto"] <= 2 * before["rto"]


@pytest.mark.parametrize("asked", [0, 1, 3])
def test_rfc9293_3_8_4_probes_before_a_pause_do_not_count(asked):
    peer = Peer()
    service = peer.open()
    service.connection.set(keepalive=(10_000, 2_000, 3))
    for number in range(asked):
        wait = 2_000 if number else 10_000
        peer.expect(".", after=(wait - 100, wait + 100), seq=0)
    pause(peer, 60 * MINUTE)
    peer.expect(".", within=11_000, seq=0)
    assert service.reason is None
    peer.send(".")
    peer.silent(9_000)
    assert service.state == "ESTABLISHED"


def test_a_peer_that_is_gone_after_a_pause_is_noticed():
    peer = Peer()
    service = peer.open()
    service.connection.set(keepalive=(10_000, 2_000, 3))
    peer.expect(".", after=(9_900, 10_100), seq=0)
    pause(peer, 60 * MINUTE)
    peer.world.run(30_000)
    assert service.reason == 110


def test_many_connections_do_not_all_speak_at_once():
    """After a pause nothing is repeated before the peers had time to be heard."""
    first = Peer()
    service = first.listen(keep_open=True)
    peers = [first] + [first.another(port=41000 + n) for n in range(30)]
    for peer in peers:
        peer.send("S", mss=1000)
        peer.expect("S.")
        peer.send(".")
    for connection in service.connections:
        connection.write(pattern(500))
    first.world.run(5)
    for peer in peers:
        assert peer.heard_to == 501
    sent = first.inet.counters["tcp.sent"]
    pause(first, 5 * MINUTE)
    first.world.run(100)
    for peer in peers:
        peer.send(".")
    first.world.run(10_000)
    assert first.inet.counters["tcp.sent"] == sent
    assert first.inet.counters["tcp.retransmits"] == 0
