"""Stateless DHCPv6: RFC 8415 section 18.2.6, before a scripted server."""

import pytest

from net.ip6.dhcp6 import Dhcp6
from tests.support.frames6 import udp6
from tests.support.station6 import Station6, address

SERVER = "fe80::1"
OTHER_FLAG, MANAGED_FLAG = 0x40, 0x80


def option(code, body):
    return code.to_bytes(2, "big") + len(body).to_bytes(2, "big") + body


def parse(data):
    found, at = {}, 0
    while at < len(data):
        size = int.from_bytes(data[at + 2 : at + 4], "big")
        found[int.from_bytes(data[at : at + 2], "big")] = data[at + 4 : at + 4 + size]
        at += 4 + size
    return found


class Scene(Station6):
    def __init__(self, flags=OTHER_FLAG):
        Station6.__init__(self, known=False, address6=None, configure=Dhcp6)
        if flags is not None:
            self.advertise(flags=flags)
            self.introduce(sender=SERVER, target=self.link_local)
            self.pass_time(1_100)

    def question(self):
        """The latest information-request."""
        frames = [frame for frame in self.hand.take("udp") if frame.destination_port == 547]
        return frames[-1] if frames else None

    def reply(self, question, *options, kind=7, xid=None, client=None):
        asked = question.payload
        body = bytes([kind]) + (xid or asked[1:4])
        body += option(1, client or parse(asked[4:])[1]) + option(2, b"\0\3\0\1server")
        data = body + b"".join(options)
        source, ours = SERVER, question.source
        self.send_ip(17, udp6(source, ours, 547, 546, data), source=source, destination=ours)


NAMES = option(23, address("2001:db8::53") + address("2001:db8::54"))
DOMAINS = option(24, b"\7example\3com\0\3sub\7example\3org\0")
CLOCKS = option(56, option(1, address("2001:db8::123")) + option(3, b"\3ntp\0"))


@pytest.mark.parametrize(("flags", "asks"), [(0, False), (OTHER_FLAG, True), (MANAGED_FLAG, True)])
def test_rfc4861_4_2_asked_if_the_router_says_so(flags, asks):
    assert (Scene(flags).question() is not None) == asks


def test_rfc8415_18_2_6_an_information_request():
    scene = Scene()
    question = scene.question()
    assert (question.source, question.destination) == (scene.link_local, address("ff02::1:2"))
    assert (question.source_port, question.payload[0]) == (546, 11)
    found = parse(question.payload[4:])
    assert found[1] == b"\0\3\0\1" + scene.mac
    assert found[8] == b"\0\0"
    wanted = {int.from_bytes(found[6][i : i + 2], "big") for i in range(0, len(found[6]), 2)}
    assert {23, 24, 31, 32, 56} <= wanted


def test_rfc3646_rfc5908_a_reply_is_used():
    scene = Scene()
    scene.reply(scene.question(), NAMES, DOMAINS, CLOCKS)
    inet = scene.inet
    assert inet.dns == [address("2001:db8::53"), address("2001:db8::54")]
    assert (inet.domain, inet.search) == ("example.com", ["example.com", "sub.example.org"])
    assert inet.ntp == [address("2001:db8::123")]
    assert scene.count("dhcp6.replies") == 1


def test_rfc4075_the_older_option_for_time_servers():
    scene = Scene()
    scene.reply(scene.question(), option(31, address("2001:db8::7")))
    assert scene.inet.ntp == [address("2001:db8::7")]


@pytest.mark.parametrize(
    "wrong",
    [{"xid": b"abc"}, {"kind": 2}, {"client": b"\0\3\0\1other!"}],
)
def test_rfc8415_16_10_replies_that_are_not_ours(wrong):
    scene = Scene()
    scene.reply(scene.question(), NAMES, **wrong)
    assert scene.inet.dns == []
    assert sum(scene.drops.values()) == 1


@pytest.mark.parametrize("tail", [b"\0", b"\0\x17\0\x20", b"\0\x17\0\x10abc"])
def test_options_that_do_not_fit(tail):
    scene = Scene()
    scene.reply(scene.question(), NAMES, tail)
    assert scene.inet.dns == []
    assert scene.drops == {"dhcp6.malformed": 1}


def test_rfc8415_15_asked_again_ever_more_seldom():
    scene = Scene()
    scene.hand.take()
    scene.pass_time(64_000)
    times = [frame for frame in scene.hand.take("udp") if frame.destination_port == 547]
    assert 5 <= len(times) <= 7
    xids = {frame.payload[1:4] for frame in times}
    assert len(xids) == 1
    assert parse(times[-1].payload[4:])[8] > b"\x03\x00"


@pytest.mark.parametrize(("refresh", "again"), [(None, 86_400), (1000, 1000), (1, 600)])
def test_rfc8415_21_23_asked_again_when_it_is_old(refresh, again):
    scene = Scene()
    options = [option(32, refresh.to_bytes(4, "big"))] if refresh else []
    scene.reply(scene.question(), NAMES, *options)
    scene.pass_time((again - 2) * 1000)
    assert scene.question() is None
    scene.pass_time(4_000)
    assert scene.question() is not None


def test_link_up_asks_anew():
    scene = Scene()
    scene.reply(scene.question(), NAMES)
    scene.host.card.set_link(False)
    scene.host.card.set_link(True)
    assert scene.inet.dns == []
    scene.advertise(flags=OTHER_FLAG)
    scene.pass_time(1_100)
    assert scene.question() is not None


def test_it_needs_udp():
    with pytest.raises(ValueError, match="needs UDP"):
        Station6(configure=Dhcp6, udp=None)
