"""Checksums, segmentation, tails and large frames: the driver against a device made of Python."""

import random

import pytest

from net import packet as packets
from tests.drivers.test_virtio_net import Bench, frame

SENDING = (0, 11, 12, 13)
RECEIVING = (1, 7, 8, 9, 15)
RAM = 4 << 20


@pytest.fixture(params=[(True, True), (True, False), (False, True), (False, False)])
def bench(request):
    modern, event_idx = request.param
    made = Bench(ram=RAM, modern=modern, event_idx=event_idx, features=SENDING + RECEIVING)
    made.run()
    return made


def segment(bench, pieces, mss=0, ip6=False, flags=0x10, protocol=6, partial=True):
    """A packet as TCP makes it: a header of 32 bytes, and a tail."""
    packet = bench.nic.allocate()
    buffer = packet.buffer
    head = memoryview(buffer).cast("H")
    link = packets.OUT_FRAME6 if ip6 else packets.OUT_FRAME
    head[packets.LINK >> 1] = link
    head[packets.END >> 1] = packets.OUT_SEGMENT + 32
    head[packets.PROTOCOL >> 1] = protocol
    head[packets.MSS >> 1] = mss
    head[packets.FLAGS >> 1] = packets.PARTIAL * partial | packets.IP6 * ip6
    buffer[packets.OUT_SEGMENT : packets.OUT_SEGMENT + 32] = bytes(range(32))
    buffer[packets.OUT_SEGMENT + 12] = 8 << 4
    buffer[packets.OUT_SEGMENT + 13] = flags
    for data, offset, length in pieces:
        assert packet.append(data, offset, length)
    expected = bytes(buffer[link : packets.OUT_SEGMENT + 32])
    expected += b"".join(bytes(data[offset : offset + length]) for data, offset, length in pieces)
    bench.nic.transmit(packet)
    return packet, expected


def test_offloads_are_what_the_device_can():
    def offloads(*features, **options):
        return Bench(ram=RAM, features=features, **options).nic.offloads

    assert offloads() == 0
    assert offloads(0) == 1
    assert offloads(*SENDING) == 7
    assert offloads(11, 12) == 0  # 5.1.3.1: they need CSUM
    assert offloads(*SENDING, modern=False, any_layout=False) == 0


@pytest.mark.parametrize("pieces", range(4))
def test_a_tail_is_gathered_by_the_device(bench, pieces):
    data = [bytes([65 + i]) * 500 for i in range(pieces)]
    packet, expected = segment(bench, [(d, 10 * i, 300) for i, d in enumerate(data)])
    assert packet.pieces[:pieces] == data
    bench.run()
    assert bench.device.sent == [expected]
    assert bench.device.described == [(1, 0, 0, 34, 16, 0)[:6]] or bench.device.described == [
        (1, 0, 0, 0, 34, 16)
    ]
    # The references go when the packet has come back: at the end of the next turn.
    bench.nic.flush()
    assert packet.pieces == [None] * 3
    assert bench.nic.reclaim()
    assert bench.nic.pool.free == 64


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_a_piece_may_be_any_buffer(bench, kind):
    data = kind(bytes(range(200)))
    _, expected = segment(bench, [(data, 50, 100)])
    bench.run()
    assert bench.device.sent == [expected]


@pytest.mark.parametrize(("protocol", "offset"), [(6, 16), (17, 6), (58, 2)])
def test_a_partial_checksum_is_left_to_the_device(bench, protocol, offset):
    segment(bench, [], protocol=protocol, ip6=protocol == 58)
    segment(bench, [], partial=False)
    bench.run()
    start = 54 if protocol == 58 else 34
    assert bench.device.described == [(1, 0, 0, 0, start, offset), (0,) * 6]


def test_5_1_6_2_large_packets_are_cut_by_the_device(bench):
    data = random.Random(1).randbytes(65000)
    _, four = segment(bench, [(data, 0, 60000)], mss=1448)
    _, six = segment(bench, [(data, 5, 2000), (data, 0, 30000)], mss=1428, ip6=True)
    _, marked = segment(bench, [(data, 0, 3000)], mss=1000, flags=0x90)
    _, short = segment(bench, [(data, 0, 1000)], mss=1448)
    bench.run()
    assert bench.device.sent == [four, six, marked, short]
    assert bench.device.described == [
        (1, 1, 66, 1448, 34, 16),
        (1, 4, 86, 1428, 54, 16),
        (1, 0x81, 66, 1000, 34, 16),
        (1, 0, 0, 0, 34, 16),
    ]
    assert bench.drops() == {}


@pytest.mark.parametrize("length", [1500, 70000])
def test_what_the_device_cannot_cut_is_counted(bench, length):
    packet, _ = segment(bench, [(bytes(length), 0, length)], mss=1448 if length > 65535 else 0)
    assert bench.drops() == {"eth0.oversize": 1}
    assert packet.pieces == [None] * 3
    assert bench.nic.pool.free == 64


def test_a_device_that_does_not_gather_gets_one_piece():
    bench = Bench(modern=False, any_layout=False)
    bench.run()
    _, expected = segment(bench, [(b"abc" * 100, 3, 200), (b"def", 0, 3)], partial=False)
    bench.run()
    assert bench.device.sent == [expected]


def test_checked_by_the_device(bench):
    flags = []
    bench.nic.receive = lambda packet: flags.append(packet.buffer[packets.FLAGS])
    for flag in (0, 1, 2):
        bench.device.deliver(frame(1), flags=flag)
    bench.run()
    assert flags == [0, packets.CHECKED, packets.CHECKED]


@pytest.mark.parametrize("size", [1954, 1966, 1967, 3000, 5000, 33333, 65226, 65453])
def test_5_1_6_4_a_frame_in_several_buffers_rises_as_one(bench, size):
    data = random.Random(size).randbytes(size)
    for _ in range(40):
        assert bench.device.deliver(data, flags=1)
        assert bench.device.deliver(frame(1))
        bench.run()
    assert bench.received == [data, frame(1)] * 40
    assert bench.drops() == {}
    assert bench.nic.big.free == 2


def test_a_frame_longer_than_offsets_reach_is_counted(bench):
    assert bench.device.deliver(bytes(65454))
    assert bench.device.deliver(frame(2))
    bench.run()
    assert bench.received == [frame(2)]
    assert bench.drops() == {"eth0.oversize": 1}
    for number in range(1000):
        assert bench.device.deliver(frame(number))
        bench.run()


def test_a_callback_that_lets_more_be_received_has_a_second_packet(bench):
    inner = []
    data = [bytes([i]) * 5000 for i in range(4)]

    def receive(packet):
        bench.keep(packet)
        before = bytes(packet.buffer[82:5082])
        if len(bench.received) < 4:
            bench.nic.service(64)
        inner.append(bytes(packet.buffer[82:5082]) == before)

    bench.nic.receive = receive
    for one in data:
        assert bench.device.deliver(one)
    bench.run()
    # The third and fourth had no packet; nothing was overwritten.
    assert bench.received == data[:2]
    assert inner == [True, True]
    assert bench.drops() == {"eth0.no_buffer": 2}
    assert bench.nic.big.free == 2


@pytest.mark.parametrize("buffers", [0, 3, 60000])
def test_a_wrong_number_of_buffers_is_not_believed(bench, buffers):
    assert bench.device.deliver(frame(1), signal=False)
    first = bench.nic.receive_pool.memory
    first[80:82] = buffers.to_bytes(2, "little")
    bench.device.signal(bench.device.queues[0])
    bench.run()
    assert bench.drops() == ({} if buffers == 0 else {"eth0.bad_length": 1})
    for number in range(600):
        assert bench.device.deliver(frame(number))
        bench.run()


@pytest.mark.parametrize("wrong", ["id", "length"])
def test_later_buffers_are_not_believed_either(bench, wrong):
    device, queue = bench.device, bench.device.queues[0]
    assert device.deliver(bytes(5000), signal=False)
    at = queue.used + 4 + 8 * ((queue.index - 1) % queue.size)
    device.put(at + (4 if wrong == "length" else 0), 5000, 4)
    device.signal(queue)
    bench.run()
    assert bench.received == []
    assert bench.drops() == {"eth0.bad_" + wrong: 1}
    for number in range(600):
        assert device.deliver(frame(number))
        bench.run()


def test_large_frames_need_memory_and_a_device_that_merges():
    small = Bench(ram=512 << 10, features=SENDING + RECEIVING)
    assert small.nic.merge == 0
    assert small.nic.offloads == 7
    assert small.device.accepted >> 7 & 1 == 0
    assert Bench(ram=RAM, features=(1, 7, 8)).device.accepted >> 7 & 3 == 0
    large = Bench(ram=RAM, features=RECEIVING)
    assert large.nic.receive_pool.count == 256
    assert large.nic.pool.count == 64


def test_an_image_without_tcp_asks_only_for_checked_frames():
    bench = Bench(ram=RAM, plain=True, features=SENDING + RECEIVING)
    assert bench.nic.offloads == 0
    assert bench.device.accepted & 0xFFFF == 1 << 1 | 1 << 5


def test_bursts_of_large_frames_beyond_the_ring_never_stall(bench):
    rng = random.Random(3)
    sent = []
    for _ in range(60):
        while True:
            data = rng.randbytes(rng.choice((60, 1514, 20000, 65000)))
            if not bench.device.deliver(data):
                break
            sent.append(data)
        bench.run()
    assert bench.received == sent
    assert len(sent) > 300
    assert bench.drops() == {}
