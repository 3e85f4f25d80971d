"""The pictures in the docstrings are right, and constants that several modules repeat agree."""

import importlib
import pkgutil

import pytest

import net.ip6
from net import packet
from net.ip6 import (
    dhcp6,
    discovery,
    extension,
    fragments,
    header,
    icmp6,
    mld,
    neighbours,
    paths,
    routers,
)
from tests.support.drawing import drawings

# (module, number of the picture, names that are not simply the constant's in capitals; None: not
# a constant)
PICTURES = [
    (header, 0, {"source": "FROM", "destination": "TO", "next": "NEXT", "class and flow": None}),
    (header, 1, {"local address": "_LOCAL_ADDRESS", "sum": "_SUM", "kind": "_KIND"}),
    (paths, 0, {"destination": None, "link header": "_LINK_HEADER", "mtu": "_MTU",
                 "next hop": "_HOP"}),
    (extension, 0, {}),
    (fragments, 0, {}),
    (icmp6, 0, {}),
    (neighbours, 0, {}),
    (mld, 0, {}),
    (routers, 0, {}),
    (dhcp6, 0, {"options: code (2), length (2), body": "OPTIONS"}),
    (discovery, 0, {"r s o": None}),
]  # fmt: skip


@pytest.mark.parametrize(("module", "number", "aliases"), PICTURES)
def test_picture_gives_its_offsets(module, number, aliases):
    names = drawings(module)[number]
    assert names
    for name, offset in names.items():
        constant = aliases.get(name, name.upper().replace(" ", "_"))
        if constant:
            value = getattr(module, constant, None)
            assert value == offset, f"{module.__name__}.{constant}: {name} is at {offset}"


def modules():
    names = [found.name for found in pkgutil.iter_modules(net.ip6.__path__)]
    return [importlib.import_module("net.ip6." + name) for name in names]


# A packet's head and its offsets are meant by these names wherever they appear.
HEAD = ["LINK", "PSEUDO", "TRANSPORT", "PAYLOAD", "END", "NEXT_HOP", "TAIL", "MSS", "TRAFFIC"]
HEAD += ["DATAGRAM", "OUT_FRAME6", "OUT_DATAGRAM6", "OUT_SEGMENT", "BODY", "HEAD", "IP6"]
HEAD += ["CONGESTION", "NET_BROADCAST"]


@pytest.mark.parametrize("module", modules(), ids=lambda module: module.__name__)
def test_repeated_constants_agree_with_packet(module):
    for name in HEAD:
        value = getattr(module, name, None)
        if isinstance(value, int):
            assert value == getattr(packet, name), f"{module.__name__}.{name}"


@pytest.mark.parametrize("module", modules(), ids=lambda module: module.__name__)
def test_counters_have_the_index_of_their_name(module):
    names = getattr(module, "COUNTS", ()) + getattr(module, "DROPS", ())
    for index, name in enumerate(names):
        assert getattr(module, "_" + name.upper()) == index, f"{module.__name__}._{name.upper()}"


def test_paths_mean_the_state_of_the_header():
    shared = [name for name in dir(paths) if name.startswith("_") and hasattr(header, name)]
    shared = [name for name in shared if isinstance(getattr(header, name), int)]
    assert {"_TABLE", "_ROW", "_MTU", "_LINK_HEADER", "_LAST", "_PATHS"} <= set(shared)
    for name in shared:
        assert getattr(paths, name) == getattr(header, name), name


def test_state_of_the_header_has_room():
    assert 4 * len(header.COUNTS + header.DROPS) <= header._LAST
    assert header._LOCALS + header.LOCALS6 * header._LOCAL_ROW <= header._TABLE
    assert header._LOCAL_WORDS * 4 == header._LOCAL_ROW
    assert not (header._LOCALS | header._TABLE | header._ROW) & 3


def test_headers_fit_their_places():
    assert packet.OUT_DATAGRAM6 + header.SIZE == packet.OUT_SEGMENT
    assert packet.OUT_FRAME6 + 14 == packet.OUT_DATAGRAM6
    assert packet.DATAGRAM + header.SIZE == fragments.DATA
