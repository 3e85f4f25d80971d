"""When there is no transmit packet, or no chunk, a connection waits for one, whatever comes."""

import pytest

from tests.tcp.peer import Peer, pattern

MSS = 1000


def without_packets(times, allocate):
    """`allocate`, that fails so often first."""

    def once():
        nonlocal times
        times -= 1
        return None if times >= 0 else allocate()

    return once


def test_an_answer_that_found_no_packet_is_sent_though_an_acknowledgement_did():
    """The acknowledgement ended the wait: the peer had to time out."""
    peer = Peer()
    service = peer.open(mss=MSS)
    outgoing = peer.tcp.outgoing
    outgoing.allocate = without_packets(1, outgoing.allocate)
    service.connection.on_data = lambda connection, segment: connection.write(b"an answer")
    # Two segments in one turn, so that one has to be acknowledged at once.
    peer.world.turn, turn = lambda: None, peer.world.turn
    peer.send(".", data=pattern(MSS))
    peer.send("P.", data=pattern(MSS))
    peer.world.turn = turn
    peer.expect("P.", within=10, data=b"an answeran answer", ack=2 * MSS + 1)
    peer.silent(100)


def test_an_acknowledgement_that_found_no_packet_is_sent_soon():
    peer = Peer()
    peer.open(mss=MSS)
    peer.tcp.segments.allocate = without_packets(2, peer.tcp.segments.allocate)
    peer.send(".", seq=MSS + 1, data=pattern(MSS))
    peer.expect(".", within=10, ack=1)


def test_who_found_no_packet_is_asked_again_one_after_the_other():
    """Not all of them every two milliseconds: the first one that fails stops the turn."""
    peer = Peer()
    service = peer.listen()
    peers = [peer.another(port=port) for port in range(1, 101)]
    for other in peers:
        other.open(service=service, mss=MSS)
    outgoing = peer.tcp.outgoing
    allocate, outgoing.allocate = outgoing.allocate, lambda: None
    for connection in service.connections:
        connection.write(b"an answer")
    peer.wait(20)
    assert 20 <= peer.drops["tcp.no_packet"] <= 22
    outgoing.allocate = allocate
    peer.wait(2)
    for other in peers:
        other.expect("P.", data=b"an answer")


@pytest.mark.parametrize("segments", [1, 2])
def test_a_service_that_found_no_chunk_is_told_though_an_acknowledgement_went_out(segments):
    """Likewise: with nothing under way, nobody else would ever wake it."""
    peer = Peer()
    service = peer.open(mss=MSS)
    chunks = peer.tcp.queues.chunks
    most, chunks.most = chunks.most, chunks.made
    assert service.connection.write(b"an answer") == 0
    for _ in range(segments):
        peer.send("P.", data=pattern(MSS))
    peer.expect(".", within=50, ack=segments * MSS + 1)
    chunks.most = most
    peer.wait(100)
    assert service.writable >= 1


def test_who_waits_for_a_chunk_comes_before_who_comes_later():
    """With 256 chunks and a thousand clients, 256 of them were served, again and again."""
    first, second = Peer(), None
    service = first.open(mss=MSS)
    second = first.another(port=1)
    other = second.open(service=service, mss=MSS)
    one, two = service.connections
    first.tcp.queues.chunks.most = 1
    assert one.write(b"an answer") == 9
    first.expect("P.", length=9)
    assert two.write(b"an answer") == 0
    assert first.drops["tcp.no_chunk"] == 1
    told = []
    one.on_data = lambda connection, segment: told.append(one.write(b"another"))
    one.on_writable = lambda connection: told.append("one")
    two.on_writable = lambda connection: told.append(two.write(b"an answer"))
    # What frees the chunk brings the next question: it is not answered before the one who waits.
    first.send("P.", data=b"?")
    assert told == [0, 9]
    second.expect("P.", data=b"an answer")
    second.send(".")
    assert told == [0, 9, "one"]
    assert other is service and first.tcp.hungry == []


def test_who_waits_for_a_chunk_may_go():
    peer = Peer()
    service = peer.open(mss=MSS)
    peer.tcp.queues.chunks.most = peer.tcp.queues.chunks.made
    assert service.connection.write(b"an answer") == 0
    peer.send("R.", seq=1)
    peer.wait(100)
    assert service.reason is not None
    assert peer.tcp.hungry == []
