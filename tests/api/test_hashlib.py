"""runtime/library/hashlib: the vectors of the RFCs, and CPython as the oracle."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.cpython.library import Library

ours = Library().load("hashlib")

# RFC 3174 section 7.3, RFC 1321 appendix A.5.
SHA1 = {
    b"abc": "a9993e364706816aba3e25717850c26c9cd0d89d",
    b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq": (
        "84983e441c3bd26ebaae4aa1f95129e5e54670f1"
    ),
    b"0123456701234567012345670123456701234567012345670123456701234567" * 10: (
        "dea356a2cddd90c7a7ecedc5ebb563934f460452"
    ),
}
MD5 = {
    b"": "d41d8cd98f00b204e9800998ecf8427e",
    b"a": "0cc175b9c0f1b6a831c399e269772661",
    b"abc": "900150983cd24fb0d6963f7d28e17f72",
    b"message digest": "f96b697d7cb7938d525a2f31aaf161d0",
    b"abcdefghijklmnopqrstuvwxyz": "c3fcd3d76192e4007dfb496cca67e13b",
    b"1234567890" * 8: "57edf4a22be3c955ac49da2e2107b67a",
}


@pytest.mark.parametrize("data", SHA1)
def test_rfc3174_vectors(data):
    assert ours.sha1(data).hexdigest() == SHA1[data]


@pytest.mark.parametrize("data", MD5)
def test_rfc1321_vectors(data):
    assert ours.md5(data).hexdigest() == MD5[data]


def test_rfc6455_1_3_the_accept_key_of_a_websocket():
    import binascii

    key = b"dGhlIHNhbXBsZSBub25jZQ==" + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    digest = ours.sha1(key).digest()
    assert binascii.b2a_base64(digest).strip() == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@given(st.sampled_from(["sha1", "md5"]), st.lists(st.binary(max_size=200), max_size=6))
def test_pieces_make_the_hash_of_the_whole(name, pieces):
    mine, theirs = ours.new(name), hashlib.new(name)
    for piece in pieces:
        mine.update(piece)
        theirs.update(piece)
        assert mine.digest() == theirs.digest()  # and may go on


@pytest.mark.parametrize("length", range(130))
def test_every_place_where_padding_may_begin(length):
    data = bytes(range(length))
    assert ours.sha1(data).digest() == hashlib.sha1(data).digest()
    assert ours.md5(data).digest() == hashlib.md5(data).digest()


def test_new_by_name():
    assert ours.new("sha256", b"x").digest() == hashlib.sha256(b"x").digest()
    assert ours.new("SHA-1", b"x").digest() == hashlib.sha1(b"x").digest()
    with pytest.raises(ValueError, match="whirlpool"):
        ours.new("whirlpool")
