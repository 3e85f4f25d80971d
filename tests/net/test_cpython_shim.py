"""The micropython module for CPython refuses what the machine would do silently."""

import micropython
import pytest


@micropython.viper
def load(p: ptr8, i: int) -> int:
    return p[i]


@micropython.viper
def load32(p: ptr32, i: int) -> int:
    return p[i] >> 8


@micropython.viper
def store16(p: ptr16, i: int, value: int):
    p[i] = value


@micropython.viper
def identity(value: int) -> int:
    return value


def test_pointers_check_their_bounds():
    assert load(b"abc", 2) == 99
    for index in (3, -1):
        with pytest.raises(IndexError):
            load(b"abc", index)
    with pytest.raises(IndexError):
        load32(bytes(7), 1)


def test_wide_pointers_are_little_endian_and_ptr32_is_signed():
    assert load32(b"\0\0\0\xff", 0) == -65536
    buffer = bytearray(4)
    store16(buffer, 1, 0x12345)
    assert buffer == b"\0\0\x45\x23"


def test_stores_into_bytes_are_refused():
    with pytest.raises(TypeError):
        store16(b"abcd", 0, 1)


def test_results_that_would_be_allocated_are_refused():
    assert identity(-(1 << 30)) == -(1 << 30)
    with pytest.raises(OverflowError):
        identity(1 << 30)
    with pytest.raises(OverflowError):
        identity(1 << 32)


def test_casts_look_through():
    p = ptr8(bytearray(b"\x01\x02\x03\x04"))
    assert ptr16(p)[1] == 0x0403
    assert uint(-1) == 0xFFFFFFFF


def test_a_number_is_an_address_only_where_there_is_a_machine(monkeypatch):
    monkeypatch.setattr(micropython, "physical", None)
    with pytest.raises(TypeError):
        ptr8(17)


def test_closures_are_refused():
    free = 1
    with pytest.raises(SyntaxError):

        @micropython.viper
        def closure():
            return free
