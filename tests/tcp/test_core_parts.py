"""Parts of TCP against plain models of what they mean."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from net.checksum import piece
from net.config import TCP_HELD_SEGMENTS, TCP_HELD_SEGMENTS_EACH
from net.packet import BODY, OUT_SEGMENT, Pool
from net.tcp import block as layout
from net.tcp.clock import Clock
from net.tcp.reassembly import Reassembly
from net.tcp.rows import Rows
from net.tcp.sendqueue import COPY, REFERENCE, Chunks, SendQueue
from net.tcp.table import Table
from runtime.timers import Timers
from tests.support.frames import checksum
from tests.support.wire import Random
from tests.tcp.pairs import noise

TURN = 0x3FFFFFFF


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 9), st.integers(0, 300), st.integers(0, 65535))
def test_rfc1071_sum_of_a_piece_that_begins_anywhere(start, length, before):
    data = noise(400)
    total = piece(data, start, length, 0, before)
    assert 0 <= total <= 0xFFFF
    low, high = before & 0xFF, before >> 8
    plain = checksum(bytes([low, high]) + data[start : start + length]) ^ 0xFFFF
    assert total % 0xFFFF == (plain >> 8 | (plain & 0xFF) << 8) % 0xFFFF


# The send queue.


def gathered(packet):
    buffer = packet.buffer
    buffer[0] = BODY
    return packet.gather()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(1, 3000), st.integers(0, 7)), min_size=1, max_size=12
    ),
    st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 1460), st.booleans()), max_size=12),
    st.lists(st.integers(0, 4000), max_size=5),
)
def test_send_queue_is_a_string_of_bytes(writes, reads, drops):
    chunks = Chunks(64)
    queue = SendQueue(chunks)
    model = b""
    for number, (reference, length, start) in enumerate(writes):
        data = noise(length + start, seed=number + 1)
        taken = queue.put(data, start, length, REFERENCE if reference else COPY)
        assert taken <= length
        model += data[start : start + taken]
    for drop in [0, *drops]:
        drop = min(drop, len(model))
        if drop:
            queue.drop(drop)
            model = model[drop:]
        for skip, length, gathers in reads:
            if skip >= len(model):
                continue
            length = min(length, len(model) - skip)
            packet = Pool("test", 1, gathers=gathers).allocate()
            got = queue.fill(packet, skip, length)
            assert 0 < got <= length
            assert gathered(packet) == model[skip : skip + got]
            # What fits into a packet is never cut short.
            assert got == length
    queue.drop(len(model) + 1)
    assert queue.count() == 0
    assert chunks.used == 0


def test_a_long_segment_points_to_bytes_and_ends_before_a_copy():
    queue = SendQueue(Chunks(4))
    body = noise(30_000)
    queue.put(b"head", 0, 4, COPY)
    queue.put(body, 0, len(body), REFERENCE)
    queue.put(b"tail", 0, 4, COPY)
    packet = Pool("test", 1, gathers=True).allocate()
    assert queue.fill(packet, 0, 30_008) == 30_004
    assert gathered(packet) == b"head" + body
    assert packet.pieces[0] is body


def test_chunks_are_bounded_and_come_back():
    chunks = Chunks(3)
    queue = SendQueue(chunks)
    assert queue.put(bytes(10_000), 0, 10_000, COPY) == 3 * 2048
    assert SendQueue(chunks).put(b"x", 0, 1, COPY) == 0
    queue.drop(2048)
    assert chunks.used == 2
    assert SendQueue(chunks).put(b"x", 0, 1, COPY) == 1


def test_extents_are_bounded():
    queue = SendQueue(Chunks(1))
    body = bytes(1000)
    assert [queue.put(body, 0, 1000, REFERENCE) for _ in range(17)] == [1000] * 16 + [0]


# Tables.


class Entry:
    tabled = True

    def __init__(self, number, six=False):
        self.block = bytearray(layout.SIZE)
        self.block[0:4] = b"\x0a\0\0\1"
        self.block[16:20] = (number // 60000 * 7 + 167772162).to_bytes(4, "big")
        self.block[32:36] = (number % 60000 + 1).to_bytes(2, "big") + b"\0\x50"
        if six:
            self.block[44] = 1
            self.block[4:16] = b"2001:db8::ab"
            self.block[20:32] = number.to_bytes(12, "big")

    def packet(self):
        """What table.find looks at of a segment for this connection."""
        made = Pool("test", 1).allocate()
        b = made.buffer
        b[4] = OUT_SEGMENT
        b[10] = 0x20 if self.block[44] & 1 else 0
        b[16:32] = self.block[16:32]
        b[32:48] = self.block[0:16]
        b[OUT_SEGMENT : OUT_SEGMENT + 4] = self.block[32:36]
        return made


@pytest.mark.parametrize("six", [False, True])
def test_table_finds_what_is_in_it_and_nothing_else(six):
    table = Table(b"12345678", 1024)
    dice = Random(4)
    inside = {}
    for step in range(1500):
        number = dice.below(700)
        if number in inside:
            index, entry = inside.pop(number)
            table.remove(index, entry.block)
            table.release(index)
            assert table.find(entry.packet()) == 0
        else:
            entry = Entry(number, six)
            index = table.take(entry)
            if index == 0:
                assert not table.full()
                table.double()
                index = table.take(entry)
            inside[number] = index, entry
        if step % 50 == 0:
            for index, entry in inside.values():
                assert table.find(entry.packet()) == index
    assert table.count == len(inside)


def test_table_is_bounded():
    table = Table(b"12345678", 32)
    entries = [Entry(number) for number in range(33)]
    for entry in entries[:32]:
        if not table.take(entry):
            assert not table.full()
            table.double()
            assert table.take(entry)
    assert table.full()
    assert table.take(entries[32]) == 0


def test_an_ipv4_address_is_not_an_ipv6_address():
    table = Table(b"12345678", 32)
    entry = Entry(5)
    table.take(entry)
    packet = entry.packet()
    assert table.find(packet)
    packet.buffer[10] = 0x20
    assert not table.find(packet)


def test_long_chains_are_rare_whatever_ports_a_stranger_chooses():
    table = Table(b"\x13\x37abcdef", 4096)
    for number in range(2000):
        entry = Entry(number * 16 % 60000)
        while not table.take(entry):
            table.double()
    places = [0] * 4096
    for entry in table.connections:
        if entry:
            places[table.hash_of(entry.block) & 2047] += 1
    assert max(places) < 12


def test_rows_are_found_in_order_and_bounded():
    rows = Rows(20, 40, 16)
    entries = {}
    dice = Random(9)
    order = []
    for _ in range(2000):
        number = dice.below(60)
        entry = Entry(number, six=number % 2 == 0)
        if number in entries:
            row = entries.pop(number)
            assert rows.find(entry.packet(), number * 3) == row
            rows.remove(row)
            order.remove(row)
            assert rows.find(entry.packet(), number * 3) == 0
        else:
            row = rows.add(entry.block, number * 3)
            assert bool(row) == (len(entries) < 40)
            if row:
                entries[number] = row
                order.append(row)
        found = []
        row = rows.first()
        while row:
            found.append(row)
            row = rows.after(row)
        assert found == order
        assert rows.count == len(order)


@pytest.mark.parametrize("seed", range(5))
def test_clock_calls_in_order_and_never_late(seed):
    dice = Random(seed)
    now = [TURN - 500]
    timers = Timers(lambda: now[0] & TURN)
    clock = Clock(timers, 16)
    wanted = {}
    called = []

    def due(index):
        called.append(index)
        at = wanted.get(index)
        if at is not None and at <= now[0]:
            del wanted[index]
        elif at is not None:
            clock.at(index, at & TURN)

    clock.due = due
    for step in range(600):
        if step == 100:
            clock.room(64)
        index = 1 + dice.below(16 if step < 100 else 64)
        wanted[index] = now[0] + 1 + dice.below(200)
        clock.at(index, wanted[index] & TURN)
        now[0] += dice.below(5)
        if timers.first >= 0 and (now[0] - timers.first) & TURN < TURN >> 1:
            timers.run(now[0] & TURN)
    for _ in range(400):
        now[0] += 1
        timers.run(now[0] & TURN)
        assert all(at > now[0] for at in wanted.values())
    assert wanted == {}


# Out of order.


class Counted:
    def __init__(self):
        self.counted = []
        self.count = self.counted.append


class Holder:
    held = None

    def __init__(self, rcv_nxt):
        self.block = bytearray(layout.SIZE)
        self.block[4 * layout.RCV_NXT : 4 * layout.RCV_NXT + 4] = rcv_nxt.to_bytes(4, "little")

    def advance(self, length):
        at = 4 * layout.RCV_NXT
        value = int.from_bytes(self.block[at : at + 4], "little") + length & 0xFFFFFFFF
        self.block[at : at + 4] = value.to_bytes(4, "little")


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 4000), st.integers(1, 1500)), min_size=1, max_size=25),
    st.sampled_from([0, 5, 0x7FFFFFF0, 0xFFFFF000, 0xFFFFFFFF]),
)
def test_reassembly_keeps_each_byte_once(pieces, rcv_nxt):
    reassembly = Reassembly(Counted())
    holder = Holder(rcv_nxt)
    stream = noise(6000)
    have = set()
    for offset, length in pieces:
        segment = Pool("test", 1).allocate()
        segment.length = length
        segment.buffer[BODY : BODY + length] = stream[offset : offset + length]
        reassembly.keep(holder, segment, offset, length)
        have |= set(range(offset, offset + length))
        ranges = bytearray(40)
        reassembly.sacks(holder, ranges)
        start = int.from_bytes(ranges[4:8], "little") - rcv_nxt & 0xFFFFFFFF
        end = int.from_bytes(ranges[8:12], "little") - rcv_nxt & 0xFFFFFFFF
        assert (start <= offset and offset + length <= end) or offset not in have
        assert set(range(start, end)) <= have
    total = sum(packet.length for packet in holder.held[1:])
    assert total == len(have)
    # The first byte arrives, then whatever is next to it.
    first = 1
    holder.advance(first)
    got = stream[:first]
    while (packet := reassembly.next(holder)) is not None:
        got += packet.data
        holder.advance(packet.length)
        reassembly.give(packet)
    end = 1
    while end in have:
        end += 1
    assert got == stream[:end]
    reassembly.clear(holder)
    assert reassembly.used == 0


def test_reassembly_is_bounded():
    counted = Counted()
    reassembly = Reassembly(counted)
    holders = [Holder(0) for _ in range(3)]
    segment = Pool("test", 1).allocate()
    segment.length = 10
    for holder in holders:
        for number in range(TCP_HELD_SEGMENTS_EACH + 10):
            reassembly.keep(holder, segment, 20 * number + 10, 10)
    each = TCP_HELD_SEGMENTS_EACH
    assert 2 * each == TCP_HELD_SEGMENTS
    assert [len(holder.held or [0]) - 1 for holder in holders] == [each, each, 0]
    assert len(counted.counted) == each + 30


def test_clock_does_not_spin_on_who_is_not_due_yet_for_himself():
    """The time of a turn may be a millisecond behind the clock's: it spun in the timer for ever."""
    now = [1000]
    timers = Timers(lambda: now[0])
    clock = Clock(timers, 4)
    called = []

    def due(index):
        called.append(index)
        if len(called) < 10:
            clock.at(index, 1005)

    clock.due = due
    clock.at(1, 1005)
    now[0] = 1006
    timers.run(now[0])
    assert called == [1]
    timers.run(now[0])
    assert called == [1, 1]
