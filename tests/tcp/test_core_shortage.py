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
    peer.wait(50)
    assert service.writable >= 1
