"""Packets and pools."""

import pytest

from net.packet import BODY, FREE, Pool


def test_a_fresh_packet_is_empty_with_room_in_front():
    packet = Pool("p", 2).allocate()
    assert packet.payload == packet.end == BODY
    assert packet.length == 0
    assert packet.room == 2048 - BODY


def test_pool_gives_what_it_has_and_then_none():
    pool = Pool("p", 3)
    packets = [pool.allocate() for _ in range(3)]
    assert len({packet.index for packet in packets}) == 3
    assert pool.allocate() is None
    packets[1].release()
    assert pool.free == 1
    assert pool.allocate() is packets[1]


def test_double_release_is_a_bug_of_ours():
    pool = Pool("p", 2)
    packet = pool.allocate()
    packet.release()
    with pytest.raises(AssertionError):
        packet.release()


def test_buffers_do_not_overlap_and_know_their_address():
    pool = Pool("p", 3, memory=bytearray(3 * 2048), address=0x10000)
    for packet in pool.packets:
        packet.buffer[100:2048] = bytes([packet.index + 1]) * 1948
        assert packet.address == 0x10000 + packet.index * 2048
    for packet in pool.packets:
        assert set(packet.buffer[100:2048]) == {packet.index + 1}


def test_length_is_checked_for_callers():
    packet = Pool("p", 1).allocate()
    packet.length = packet.room
    assert packet.end == 2048
    with pytest.raises(ValueError, match="no room"):
        packet.length = packet.room + 1


def test_reallocated_packet_forgets():
    pool = Pool("p", 1)
    packet = pool.allocate()
    packet.length = 100
    packet.release()
    assert packet.buffer[11] == FREE >> 8
    assert pool.allocate().length == 0
