"""docs/net.md shows the wiring as it is."""

from net.inet import Inet
from tools.docs import wiring


def test_the_page_shows_the_live_delegates():
    text = wiring.PAGE.read_text()
    assert wiring.page(text) == text, "python3 -m tools.docs.wiring"


def test_every_layer_is_in_the_drawing():
    text = wiring.drawing(wiring.stack())
    for name in ("ethernet", "arp", "ip4", "icmp", "igmp", "udp", "tcp", "reassembly"):
        assert f"    {name}." in text


def test_without_transports_nothing_points_at_them():
    host = wiring.Host(wiring.World(), "nic", address="10.0.0.2/24")
    inet = Inet(host)
    wiring.igmp.use(inet)
    assert inet.ip4.udp == inet.ip4.unknown
    assert inet.icmp.told == {}
