"""Properties: any order of segments, any cuts and overlaps, any place of the wrap."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.tcp.peer import LETTERS, Peer, pattern

LENGTH = 400
EVERY = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def pieces():
    """Cuts of LENGTH bytes, overlapping, in any order."""
    return st.lists(
        st.tuples(st.integers(0, LENGTH - 1), st.integers(1, LENGTH)), min_size=1, max_size=25
    )


@given(st.integers(0, 0xFFFFFFFF), pieces(), st.booleans())
@EVERY
def test_reassembly_delivers_the_bytes_whatever_their_order(iss, cuts, sack):
    """What is delivered is a beginning of the stream; with everything sent it is all of it."""
    peer = Peer(iss=iss)
    service = peer.open(sack=sack, ts=sack)
    data = pattern(LENGTH)
    arrived = set()
    for start, length in cuts:
        part = data[start : start + length]
        arrived |= set(range(start, start + len(part)))
        peer.send(".", seq=1 + start, data=part)
        delivered = len(service.data)
        assert service.data == data[:delivered]
        beginning = 0
        while beginning in arrived:
            beginning += 1
        assert delivered == beginning
        for segment in peer.take():
            assert segment.ack <= 1 + beginning
            for left, right in segment.sacks:
                assert set(range(left - 1, right - 1)) <= arrived
    peer.send(".", seq=1, data=data)
    peer.wait(100)
    assert service.data == data
    assert peer.tcp.counts()["out_of_order"] == 0


@given(st.integers(0, 0xFFFFFFFF), st.lists(st.integers(1, 900), min_size=1, max_size=20))
@EVERY
def test_what_is_written_goes_out_in_order_across_the_wrap(iss, sizes):
    """Our number may begin anywhere: the peer hears the stream, whatever the cuts of write()."""
    peer = Peer()
    # Our own initial number is a hash; shift the clock it is made of.
    peer.tcp.isn.start[0:4] = iss.to_bytes(4, "little")
    service = peer.open(mss=536)
    data = pattern(sum(sizes))
    at = 0
    heard = b""
    for size in sizes:
        service.connection.write(data[at : at + size])
        at += size
    for _ in range(200):
        segments = [segment for segment in peer.take() if segment.length]
        for segment in segments:
            assert segment.seq == 1 + len(heard)
            heard += segment.data
        if len(heard) == len(data):
            break
        peer.send(".")
    assert heard == data


NUMBER = st.one_of(st.integers(-5, 3000), st.integers(0, 0xFFFFFFFF))
SEGMENT = st.tuples(
    st.integers(0, 255),
    NUMBER,
    NUMBER,
    st.binary(max_size=30),
    st.integers(0, 65535),
    st.binary(max_size=10).map(lambda data: data + bytes(-len(data) % 4)),
)


@pytest.mark.parametrize("state", ["ESTABLISHED", "SYN-SENT", "LISTEN", "FIN-WAIT-1", "TIME-WAIT"])
@given(st.lists(SEGMENT, min_size=1, max_size=25))
@EVERY
def test_no_segment_does_harm(state, segments):
    """Anything in any state: nothing raises, no packet is lost, nothing is left when it is over."""
    peer = Peer()
    if state == "SYN-SENT":
        service = peer.connect()
        peer.take()
    elif state == "LISTEN":
        service = peer.listen()
        peer.us = 0
    else:
        service = peer.open()
        service.connection.write(pattern(2000))
    if state in ("FIN-WAIT-1", "TIME-WAIT"):
        service.connection.close()
        peer.take()
    if state == "TIME-WAIT":
        peer.send("F.")
    for bits, seq, ack, data, window, options in segments:
        flags = "".join([LETTERS[i] for i in range(8) if bits >> i & 1])
        peer.send(flags, seq=seq, ack=ack, data=data, window=window, options=options)
    peer.wait(10)
    peer.world.check()
    if service.connection:
        service.connection.abort()
    for connection in peer.tcp.connections[:]:
        connection.abort()
    peer.wait(200_000)
    assert set(peer.tcp.counts().values()) == {0}
    peer.world.check()
