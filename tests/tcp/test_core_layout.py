"""Constants that the modules of net/tcp repeat agree with those that define them."""

import importlib
import itertools
import pkgutil

import pytest

import net.tcp
from net import packet
from net.tcp import block, halfopen, header, options, sendqueue, turn
from net.tcp.turn import COUNTS, DROPS
from tests.support.drawing import drawings

MODULES = [
    importlib.import_module("net.tcp." + found.name)
    for found in pkgutil.iter_modules(net.tcp.__path__)
]
# Names that mean the packet's head, rows of their own, or groups of flags.
OWN = {"FLAGS", "SIZE", "WORDS", "STATES"}
SHARED_SCRATCH = ("net.tcp.halfopen", "net.tcp.timewait")
PACKETS = {"PSEUDO"}
# Of the block by another name, where FLAGS are the packet's.
ALIASES = {"B_FLAGS": "FLAGS", "LAST_ACK_STATE": "LAST_ACK_STATE"}
HEAD = [
    "TRANSPORT",
    "PAYLOAD",
    "END",
    "SOURCE",
    "DESTINATION",
    "TAIL",
    "OUT_SEGMENT",
    "IP6",
    "CONGESTION",
    "PARTIAL",
]
BITS = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"]


def names(module):
    return [name for name in vars(module) if name.isupper() and name[0] != "_"]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_words_of_the_block_agree(module):
    if module in (block, header, turn, options, packet):
        return
    # Modules of this part use FLAGS for the block unless they look into packets, too.
    for name in names(module):
        value = getattr(module, name)
        meant = ALIASES.get(name, name)
        if not isinstance(value, int) or not hasattr(block, meant):
            continue
        if name == "SCRATCH" and module.__name__ in SHARED_SCRATCH:
            assert value == turn.SCRATCH
            continue
        if name in OWN or (name in PACKETS and value == getattr(packet, name)):
            continue
        assert value == getattr(block, meant), f"{module.__name__}.{name}"


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_counters_and_shared_words_agree(module):
    every = COUNTS + DROPS
    for name in vars(module):
        if name.startswith("_") and name[1:].lower() in every and module is not sendqueue:
            if name == "_COUNT" or not name.isupper() or module is halfopen:
                continue
            assert getattr(module, name) == every.index(name[1:].lower()), (
                f"{module.__name__}.{name}"
            )
        if name.startswith("SEG_") or name in ("NOW", "FRESH"):
            assert getattr(module, name) == getattr(turn, name, getattr(module, name))


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_fields_of_the_packet_and_the_header_agree(module):
    for name in HEAD:
        if hasattr(module, name):
            assert getattr(module, name) == getattr(packet, name), f"{module.__name__}.{name}"
    for name in BITS:
        if hasattr(module, name):
            assert getattr(module, name) == getattr(header, name), f"{module.__name__}.{name}"


def test_every_counter_has_its_index():
    for index, name in enumerate(COUNTS + DROPS):
        assert getattr(turn, "_" + name.upper()) == index
    assert len(COUNTS + DROPS) <= turn.NOW


def test_words_of_the_block_do_not_overlap():
    """Each field up to the next; SCRATCH and the arrays have room."""
    lengths = {"LOCAL": 4, "REMOTE": 4, "CUBIC": 8, "SACK": 16, "SCRATCH": 4, "HYSTART": 5}
    fields = []
    for name in vars(block):
        if name == "CLOSED":
            break
        if name.isupper() and name not in ("SACKS", "WORDS", "SIZE"):
            fields.append((getattr(block, name), lengths.get(name, 1), name))
    fields.sort()
    for (start, length, name), (after, _, other) in itertools.pairwise(fields):
        assert start + length <= after, f"{name} lies on {other}"
    assert fields[-1][0] + fields[-1][1] <= block.WORDS == block.SIZE // 4


def test_flags_and_events_are_single_bits():
    begin = list(vars(block)).index("IS_IP6")
    bits = [getattr(block, name) for name in list(vars(block))[begin:] if name.isupper()]
    flags, events = bits[: bits.index(1, 1)], bits[bits.index(1, 1) :]
    for group in (flags, events):
        assert all(bit & (bit - 1) == 0 for bit in group)
        assert len(set(group)) == len(group)


def test_picture_of_the_block_gives_its_places():
    picture = drawings(block)[0]
    for name in ("local", "remote", "ports", "pseudo", "state", "flags", "events", "iss", "queued"):
        assert picture[name] == 4 * getattr(block, name.upper()), name


def test_picture_of_the_header_gives_its_offsets():
    picture = drawings(header)[0]
    assert picture == {
        "source port": header.SOURCE_PORT,
        "dest port": header.DESTINATION_PORT,
        "sequence": header.SEQUENCE,
        "acknowledgement": header.ACKNOWLEDGEMENT,
        "length": header.LENGTH,
        "flags": header.FLAGS,
        "window": header.WINDOW,
        "checksum": header.CHECKSUM,
        "urgent": header.URGENT,
    }
