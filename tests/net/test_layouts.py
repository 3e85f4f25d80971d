"""The pictures in the docstrings are right, and constants that several modules repeat agree."""

import importlib
import pkgutil

import pytest

import net
from net import ethernet, fragmentation, packet
from net.dhcp import client
from net.dhcp import message as dhcp
from net.dhcp import port as dhcp_port
from net.ip4 import arp, icmp, routes
from net.ip4 import header as ip4
from net.udp import socket as udp_socket
from net.udp import udp
from tests.support.drawing import drawings

# Where a picture's name is not simply the constant's in capitals.
ALIASES = {
    ip4: {
        "v ihl": "VERSION",
        "flags offset": "FLAGS_OFFSET",
        "source": "FROM",
        "destination": "TO",
    },
    udp: {"dest port": "DESTINATION_PORT"},
    arp: {
        "sender": "SENDER_PROTOCOL",
        "target protocol address": "TARGET_PROTOCOL",
        "sender hardware address": "SENDER_HARDWARE",
        "target hardware address": "TARGET_HARDWARE",
    },
}
SECOND = {
    arp: {"tries": "TRIED"},
    ip4: {
        "destination": None,  # at 0
        "mtu": "_MTU",
        "link header": "_LINK_HEADER",
        "next hop": "_HOP",
    },
}


def compare(module, names, aliases):
    assert names
    for name, offset in names.items():
        constant = aliases.get(name, name.upper().replace(" ", "_"))
        value = getattr(module, constant) if constant else 0
        assert value == offset, f"{module.__name__}.{constant}: {name} is at {offset}"


@pytest.mark.parametrize("module", [arp, dhcp, ethernet, icmp, ip4, packet, routes, udp])
def test_picture_of_header_gives_its_offsets(module):
    compare(module, drawings(module)[0], ALIASES.get(module, {}))


@pytest.mark.parametrize("module", [arp, ip4])
def test_picture_of_table_row_gives_its_offsets(module):
    compare(module, drawings(module)[1], SECOND[module])


def test_pictures_cover_the_whole_header():
    for module, size in ((ethernet, 14), (arp, 28), (ip4, 20), (icmp, 8), (udp, 8)):
        last = max(drawings(module)[0].values())
        assert last < module.SIZE == size


def modules():
    return [importlib.import_module("net." + m.name) for m in pkgutil.iter_modules(net.__path__)]


# A packet's head and its offsets are meant by these names wherever they appear.
HEAD = ["LINK", "TRANSPORT", "PAYLOAD", "END", "FRAGMENT", "NEXT_HOP", "BODY", "FRAME"]
HEAD += ["DATAGRAM", "OUT_FRAME", "OUT_DATAGRAM", "OUT_SEGMENT"]
HEAD += ["HEAD", "BROADCAST", "MULTICAST", "CHECKED", "NET_BROADCAST", "REASSEMBLED"]


@pytest.mark.parametrize("module", modules(), ids=lambda module: module.__name__)
def test_repeated_constants_agree_with_packet(module):
    for name in HEAD:
        value = getattr(module, name, None)
        if isinstance(value, int):
            assert value == getattr(packet, name), f"{module.__name__}.{name}"


# Other modules mean fields of their own header by these.
@pytest.mark.parametrize("module", [ip4, icmp, udp, udp_socket, fragmentation, routes])
@pytest.mark.parametrize("name", ["SOURCE", "DESTINATION", "FLAGS", "PROTOCOL"])
def test_repeated_head_fields_agree_with_packet(module, name):
    assert getattr(module, name, getattr(packet, name)) == getattr(packet, name)


def test_room_of_a_packet():
    assert packet.SIZE - packet.BODY == udp_socket.ROOM
    assert packet.SIZE - packet.OUT_SEGMENT == icmp.ROOM


def test_sockets_count_where_udp_does():
    for name in ("_NO_BUFFER", "_UNANSWERABLE", "UDP", "SIZE", "DESTINATION_PORT"):
        assert getattr(udp_socket, name) == getattr(udp, name)


def test_the_dhcp_port_counts_where_the_client_does():
    assert (dhcp_port.SHORT, dhcp_port.FOREIGN) == (client._SHORT, client._FOREIGN)


def test_headers_fit_their_places():
    assert packet.FRAME + ethernet.SIZE == packet.DATAGRAM
    assert packet.OUT_FRAME + ethernet.SIZE == packet.OUT_DATAGRAM
    assert packet.OUT_DATAGRAM + ip4.SIZE == packet.OUT_SEGMENT == packet.BODY - udp.SIZE
    # The device header of 12 bytes in front of an IPv6 frame; what is compared by words is aligned.
    assert packet.OUT_SEGMENT - 40 - ethernet.SIZE - 12 > packet.HEAD
    assert not (packet.DATAGRAM | packet.OUT_DATAGRAM | packet.OUT_SEGMENT | packet.BODY) & 3


def test_masks_for_groups_of_flags():
    every = packet.BROADCAST | packet.MULTICAST | packet.NET_BROADCAST
    assert every == icmp.NOT_FOR_US_ALONE
    assert packet.BROADCAST | packet.MULTICAST == ip4.ANY_BROADCAST


# The state of a layer begins with its counters; what follows must not lie on them.
@pytest.mark.parametrize("module", modules(), ids=lambda module: module.__name__)
def test_counters_have_the_index_of_their_name(module):
    names = getattr(module, "COUNTS", ()) + getattr(module, "DROPS", ())
    for index, name in enumerate(names):
        written = "_" + name.upper()
        if module is ip4 and name == "paths":
            written = "_PATHS_MADE"
        # Who counts by other means than these constants has none of them.
        assert getattr(module, written, index) == index, f"{module.__name__}.{written}"
    for first_state in ("_ADDRESS", "_LAST", "_MAC"):
        state = getattr(module, first_state, None)
        if state is not None and names:
            assert state >= 4 * len(names)
