"""The multicast DNS responder, before a link with others on it: RFC 6762, RFC 6763."""

from itertools import pairwise

import pytest

from net.dns import wire
from net.dns.name import encode
from net.dns.wire import Reader, Writer
from net.ip4 import igmp
from net.mdns import GROUP4, Mdns
from net.mdns.records import FLUSH, UNICAST, cut, nsec, plain, text_data
from tests.clients.scene import CLIENT, Scene

OURS = bytes([10, 0, 0, 2])
THEIRS = bytes([10, 0, 0, 77])
HTTP = "_http._tcp.local"
WEB = "My web._http._tcp.local"


class Message:
    """What the responder has sent."""

    def __init__(self, when, data, alone, port):
        self.when = when
        self.data = data
        self.alone = alone
        self.port = port
        reader = Reader(data)
        self.id, self.flags = reader.id, reader.flags
        self.sections = [[], [], [], []]
        for section, name, kind, rclass, ttl, at, end in reader:
            rdata = plain(data, kind, at, end)
            self.sections[section].append((name.lower(), kind, rclass, ttl, rdata))
        self.questions, self.answers, self.authority, self.additional = self.sections

    @property
    def is_probe(self):
        return not self.flags & wire.QR

    def has(self, name, kind, ttl=None, section=wire.ANSWER):
        for record in self.sections[section]:
            same = record[0] == encode(name).lower() and record[1] == kind
            if same and ttl in (None, record[3]):
                return True
        return False


class Link(Scene):
    """The client has a responder; the server listens to the group, and asks."""

    def __init__(self, web=True, quiet=True, settle=10_000, **settings):
        Scene.__init__(self, hostname=settings.pop("hostname", "box"), **settings)
        self.messages = []
        self.legacy = self.server.inet.udp.bind(40_000, self.hear)
        self.other = self.server.inet.udp.bind(5353, self.hear)
        self.other.set(hops=255, group_hops=255)
        igmp.use(self.server.inet)
        self.other.join(GROUP4)
        self.mdns = Mdns(self.client)
        self.web = self.mdns.publish("My web", "_http._tcp", 80, {"path": "/"}) if web else None
        if quiet:
            self.run(settle)
            self.take()

    def hear(self, socket, datagram):
        alone = datagram.destination != GROUP4
        self.messages.append(Message(self.world.time, datagram.data, alone, socket.port))

    def take(self):
        messages, self.messages = self.messages, []
        return messages

    def send(self, writer, flags=0, identification=0, socket=None, to=GROUP4):
        data = bytes(writer.finish(identification, flags))
        (socket or self.other).send_to(data, to, 5353)

    def ask(self, *questions, known=(), authority=(), flags=0, ms=1_000, **where):
        """Questions: (name, type[, class])."""
        writer = Writer(1400)
        for name, kind, *rest in questions:
            writer.question(encode(name), kind, *rest)
        for section, records in ((wire.ANSWER, known), (wire.AUTHORITY, authority)):
            for name, kind, ttl, rdata, target in records:
                target = encode(target) if target else None
                writer.record(section, encode(name), kind, wire.IN, ttl, rdata, target)
        self.send(writer, flags, **where)
        self.run(ms)
        return self.take()

    def say(self, *records, ms=0, **where):
        """Records that somebody else announces: (name, type, ttl, rdata, target)."""
        writer = Writer(1400)
        for name, kind, ttl, rdata, target in records:
            target = encode(target) if target else None
            rclass = wire.IN | FLUSH
            writer.record(wire.ANSWER, encode(name), kind, rclass, ttl, rdata, target)
        self.send(writer, wire.QR | wire.AA, **where)
        self.run(ms)
        return self.take()

    def count(self, name):
        return self.client.counters()["mdns." + name]


# Probing and announcing: RFC 6762 section 8.


def test_rfc6762_8_1_three_probes_250_ms_apart():
    link = Link(web=False, quiet=False)
    start = link.world.time
    link.run(10_000)
    probes = [message for message in link.take() if message.is_probe]
    times = [message.when - start for message in probes]
    assert len(times) == 3
    assert times[0] <= 255
    assert [after - before for before, after in pairwise(times)] == [250, 250]
    for probe in probes:
        assert probe.questions == [(encode("box.local"), wire.ANY, wire.IN | UNICAST, 0, b"")]
        # What we want to have, without the bit that would empty caches.
        assert probe.authority == [(encode("box.local"), wire.A, wire.IN, 120, OURS)]
        assert probe.id == 0


def test_rfc6762_8_3_announcements_come_further_and_further_apart():
    link = Link(web=False, quiet=False)
    link.run(20_000)
    announced = [message for message in link.take() if not message.is_probe]
    times = [message.when for message in announced]
    assert [after - before for before, after in pairwise(times)] == [1_000, 2_000]
    for message in announced:
        assert message.flags == wire.QR | wire.AA
        assert (encode("box.local"), wire.A, wire.IN | FLUSH, 120, OURS) in message.answers
        assert message.has("2.0.0.10.in-addr.arpa", wire.PTR, 120)
        assert message.questions == []
    assert link.client.log.lines[-1] == "mdns: box"


def test_rfc6763_4_a_service_has_its_records():
    link = Link(quiet=False)
    link.run(20_000)
    message = [one for one in link.take() if one.has(WEB, wire.SRV)][-1]
    assert (encode(WEB).lower(), wire.SRV, wire.IN | FLUSH, 120) == message.answers[0][:4]
    assert message.answers[0][4] == bytes([0, 0, 0, 0, 0, 80]) + encode("box.local")
    assert message.answers[1][4] == b"\6path=/"
    # Shared: no cache is to be emptied for it.
    assert (encode(HTTP), wire.PTR, wire.IN, 4_500, encode(WEB).lower()) in message.answers
    types = "_services._dns-sd._udp.local"
    assert (encode(types), wire.PTR, wire.IN, 4_500, encode(HTTP)) in message.answers


def test_what_is_published_later_is_probed_for_then():
    link = Link(web=False)
    link.mdns.publish("Late", "_ssh._tcp", 22)
    link.run(5_000)
    heard = link.take()
    assert len([message for message in heard if message.is_probe]) == 3
    assert heard[-1].has("Late._ssh._tcp.local", wire.SRV)


def test_nothing_is_said_before_there_is_an_address():
    link = Link(web=False)
    link.client.settings["hostname"] = "early"
    link.mdns.close()
    link.run(100)
    link.take()
    configured = []
    link.inet.when_configured = configured.append
    Mdns(link.client).publish("Early", "_http._tcp", 80)
    link.run(10_000)
    assert link.take() == []
    configured[0](link.inet)
    link.run(10_000)
    assert link.take()[-1].has("early.local", wire.A)


def test_no_questions_are_answered_before_probing_is_done():
    link = Link(web=False, quiet=False)
    link.run(600)
    assert [one for one in link.ask(("box.local", wire.A), ms=20) if not one.is_probe] == []


# Conflicts: sections 8.1, 8.2, 9.


def probing(**settings):
    link = Link(web=False, quiet=False, **settings)
    link.run(300)
    assert link.take()
    return link


def test_rfc6762_8_1_a_name_that_somebody_has_is_left_to_him():
    link = probing()
    link.say(("BOX.local", wire.A, 120, THEIRS, None))
    link.run(10_000)
    assert link.mdns.host == "box-2.local"
    assert link.take()[-1].has("box-2.local", wire.A)
    assert link.count("conflicts") == 1


def test_rfc6762_8_1_even_if_he_says_so_to_us_alone():
    link = probing()
    link.say(("box.local", wire.AAAA, 120, bytes(16), None), to=OURS)
    link.run(10_000)
    assert link.mdns.host == "box-2.local"


def test_the_same_data_is_no_conflict():
    link = probing()
    link.say(("box.local", wire.A, 120, OURS, None))
    link.run(10_000)
    assert link.mdns.host == "box.local"


def test_a_goodbye_is_no_conflict():
    link = probing()
    link.say(("box.local", wire.A, 0, THEIRS, None))
    link.run(10_000)
    assert link.mdns.host == "box.local"


def test_a_second_name_that_is_taken_leads_to_a_third():
    link = probing()
    renamed = []
    link.mdns.on_renamed = lambda owner: renamed.append(owner.label)
    link.say(("box.local", wire.A, 120, THEIRS, None))
    link.run(300)
    link.say(("box-2.local", wire.A, 120, THEIRS, None))
    link.run(10_000)
    assert renamed == [b"box-2", b"box-3"]
    assert link.mdns.host == "box-3.local"


def test_rfc6763_appendix_d_a_service_gets_a_number():
    link = Link(quiet=False)
    link.run(300)
    link.say((WEB, wire.SRV, 120, bytes(6), "other.local"))
    link.run(10_000)
    assert link.web.label == b"My web (2)"
    assert link.ask((HTTP, wire.PTR))[-1].answers[0][4] == encode("my web (2)._http._tcp.local")


def test_a_new_host_name_is_told_in_the_services():
    link = Link(quiet=False)
    link.run(300)
    link.say(("box.local", wire.A, 120, THEIRS, None))
    link.run(10_000)
    link.take()
    (message,) = link.ask((WEB, wire.SRV))
    assert message.answers[0][4][6:] == encode("box-2.local")


@pytest.mark.parametrize(("theirs", "lost"), [(THEIRS, True), (bytes([9, 0, 0, 1]), False)])
def test_rfc6762_8_2_of_two_who_probe_the_greater_data_wins(theirs, lost):
    link = probing()
    start = link.world.time
    link.ask(
        ("box.local", wire.ANY, wire.IN | UNICAST),
        authority=[("box.local", wire.A, 120, theirs, None)],
        ms=0,
    )
    link.run(10_000)
    assert link.count("ties") == int(lost)
    announced = next(message for message in link.take() if not message.is_probe)
    # The loser waits a second, and then asks whether the name is taken.
    assert (announced.when - start > 1_500) == lost
    assert link.mdns.host == "box.local"


def test_rfc6762_8_2_1_more_records_win():
    link = probing()
    records = [
        ("box.local", wire.A, 120, OURS, None),
        ("box.local", wire.AAAA, 120, bytes(16), None),
    ]
    link.ask(("box.local", wire.ANY), authority=records, ms=100)
    assert link.count("ties") == 1


def test_rfc6762_9_a_name_that_we_keep_is_probed_for_again_when_contradicted():
    link = Link(web=False)
    link.say(("box.local", wire.A, 120, THEIRS, None))
    link.run(2_000)
    heard = link.take()
    assert [message.is_probe for message in heard[:3]] == [True] * 3
    assert link.mdns.host == "box.local"
    assert heard[-1].has("box.local", wire.A)


def test_another_type_for_a_name_that_we_keep_is_none_of_our_business():
    link = Link(web=False)
    assert link.say(("box.local", wire.AAAA, 120, bytes(16), None), ms=2_000) == []


def test_rfc6762_8_1_fifteen_conflicts_slow_us_down():
    link = probing()
    for _ in range(60):
        link.say((link.mdns.host, wire.A, 120, THEIRS, None))
        link.run(300)
        if link.count("conflicts") == 15:
            break
    link.take()
    before = link.world.time
    link.run(10_000)
    assert link.take()[0].when - before > 4_500


# Answers: section 6.


def test_an_address_is_answered_at_once_to_all():
    link = Link(web=False)
    start = link.world.time
    (message,) = link.ask(("BOX.local", wire.A))
    assert message.when - start <= 5
    assert not message.alone
    assert message.answers == [(encode("box.local"), wire.A, wire.IN | FLUSH, 120, OURS)]
    assert (message.id, message.questions) == (0, [])


@pytest.mark.parametrize("kind", [wire.AAAA, wire.SRV])
def test_rfc6762_6_1_what_does_not_exist_is_denied(kind):
    link = Link(web=False)
    (message,) = link.ask(("box.local", kind))
    name, found, rclass, _, rdata = message.answers[0]
    assert (name, found, rclass) == (encode("box.local"), wire.NSEC, wire.IN | FLUSH)
    assert rdata == nsec(encode("box.local"), [wire.A, wire.NSEC])


def test_other_names_are_not_answered():
    link = Link()
    assert link.ask(("other.local", wire.A), ("_ipp._tcp.local", wire.PTR)) == []


def test_any_gets_all():
    link = Link()
    (message,) = link.ask((WEB, wire.ANY))
    assert message.has(WEB, wire.SRV)
    assert message.has(WEB, wire.TXT)


def test_the_name_of_an_address_is_answered():
    link = Link()
    (message,) = link.ask(("2.0.0.10.in-addr.arpa", wire.PTR))
    assert message.answers[0][4] == encode("box.local")


def test_rfc6762_6_shared_records_wait_20_to_120_ms():
    delays = set()
    for seed in range(10):
        link = Link()
        for _ in range(seed):
            link.client.random.bits(8)
        start = link.world.time
        (message,) = link.ask((HTTP, wire.PTR))
        delays.add(message.when - start)
    assert min(delays) >= 20
    assert max(delays) <= 125
    assert len(delays) > 3


def test_rfc6763_12_1_the_whole_service_comes_with_its_name():
    link = Link()
    (message,) = link.ask((HTTP, wire.PTR))
    assert message.has(HTTP, wire.PTR, 4_500)
    assert message.has(WEB, wire.SRV, 120, wire.ADDITIONAL)
    assert message.has(WEB, wire.TXT, 4_500, wire.ADDITIONAL)
    assert message.has("box.local", wire.A, 120, wire.ADDITIONAL)


def test_rfc6763_9_the_types_of_services_are_listed():
    link = Link()
    (message,) = link.ask(("_services._dns-sd._udp.local", wire.PTR))
    assert message.answers[0][4] == encode(HTTP)


def test_rfc6762_6_a_record_is_multicast_once_in_a_second():
    link = Link(web=False)
    assert len(link.ask(("box.local", wire.A), ms=300)) == 1
    assert link.ask(("box.local", wire.A), ms=300) == []
    assert link.drops("mdns") == {"limited": 1}
    link.run(1_000)
    assert len(link.ask(("box.local", wire.A))) == 1


def test_rfc6762_6_a_probe_is_answered_four_times_as_often():
    link = Link(web=False)
    probe = {"authority": [("box.local", wire.A, 120, THEIRS, None)]}
    assert len(link.ask(("box.local", wire.ANY), ms=300, **probe)) == 1
    assert len(link.ask(("box.local", wire.ANY), ms=100, **probe)) == 1
    assert link.ask(("box.local", wire.ANY), ms=100, **probe) == []


def test_rfc6762_5_4_who_wants_to_be_told_alone_is():
    link = Link(web=False)
    (message,) = link.ask(("box.local", wire.A, wire.IN | UNICAST))
    assert message.alone
    assert message.answers == [(encode("box.local"), wire.A, wire.IN | FLUSH, 120, OURS)]


def test_rfc6762_5_4_but_all_hear_what_nobody_has_heard_for_long():
    link = Link(web=False)
    link.run(40_000)
    (message,) = link.ask(("box.local", wire.A, wire.IN | UNICAST))
    assert not message.alone


# Known answers: section 7.


def known(ttl):
    return [(HTTP, wire.PTR, ttl, b"", WEB)]


def test_rfc6762_7_1_what_the_asker_knows_is_not_said():
    link = Link()
    assert link.ask((HTTP, wire.PTR), known=known(2_250)) == []
    assert link.count("suppressed") == 1


def test_rfc6762_7_1_but_what_he_will_not_know_for_long_is():
    link = Link()
    assert len(link.ask((HTTP, wire.PTR), known=known(2_249))) == 1


def test_rfc6762_7_2_more_known_answers_are_waited_for():
    link = Link()
    start = link.world.time
    assert link.ask((HTTP, wire.PTR), flags=wire.TC, ms=100) == []
    assert link.ask(known=known(4_000), ms=1_000) == []
    link.ask((HTTP, wire.PTR), flags=wire.TC, ms=0)
    start = link.world.time
    link.run(1_000)
    (message,) = link.take()
    assert 400 <= message.when - start <= 510


def test_rfc6762_7_4_what_another_says_need_not_be_said_again():
    link = Link()
    types = "_services._dns-sd._udp.local"
    link.ask((types, wire.PTR), ms=10)
    writer = Writer(1400)
    writer.record(wire.ANSWER, encode(types), wire.PTR, wire.IN, 4_500, b"", encode(HTTP))
    link.send(writer, wire.QR | wire.AA)
    link.run(1_000)
    assert link.take() == []


def test_answers_that_are_due_together_come_together():
    link = Link()
    link.mdns.publish("Shell", "_ssh._tcp", 22)
    link.run(10_000)
    link.take()
    (message,) = link.ask((HTTP, wire.PTR), ("_ssh._tcp.local", wire.PTR))
    assert len(message.answers) == 2


def test_answers_that_wait_are_bounded():
    link = Link()
    for _ in range(20):
        link.ask((HTTP, wire.PTR), flags=wire.TC, ms=1)
    assert link.drops("mdns") == {"crowded": 4}
    link.run(1_000)
    assert len(link.take()) == 1


# Simple resolvers: section 6.7.


def test_rfc6762_6_7_a_simple_resolver_is_answered_as_by_a_name_server():
    link = Link()
    (message,) = link.ask(("box.local", wire.A), socket=link.legacy, identification=0x1234)
    assert message.alone
    assert message.port == 40_000
    assert message.id == 0x1234
    assert message.questions == [(encode("box.local"), wire.A, wire.IN, 0, b"")]
    # No bit that it does not know, and no long life in a cache that hears no goodbye.
    assert message.answers == [(encode("box.local"), wire.A, wire.IN, 10, OURS)]


def test_rfc6762_6_7_it_is_not_answered_at_all_about_others():
    link = Link()
    assert link.ask(("other.local", wire.A), socket=link.legacy) == []


# The end: section 10.1.


def test_rfc6762_10_1_goodbye():
    link = Link()
    link.mdns.close()
    link.run(100)
    (message,) = link.take()
    for name, kind in (("box.local", wire.A), (WEB, wire.SRV), (HTTP, wire.PTR)):
        assert message.has(name, kind, 0)
    assert link.ask(("box.local", wire.A)) == []
    assert [socket for socket in link.inet.udp.sockets if socket] == []


def test_a_service_that_is_withdrawn_says_goodbye_alone():
    link = Link()
    second = link.mdns.publish("Second", "_http._tcp", 81)
    link.run(10_000)
    link.take()
    link.mdns.withdraw(second)
    link.run(100)
    (message,) = link.take()
    assert message.has("Second._http._tcp.local", wire.SRV, 0)
    # There are other services of the type.
    assert not message.has("_services._dns-sd._udp.local", wire.PTR)
    assert not message.has(WEB, wire.SRV)
    assert not message.has("box.local", wire.A)
    assert len(link.ask((HTTP, wire.PTR))[0].answers) == 1


# What is not heard.


def test_rfc6762_6_responses_come_from_port_5353():
    link = probing()
    link.say(("box.local", wire.A, 120, THEIRS, None), socket=link.legacy)
    link.run(100)
    assert link.drops("mdns") == {"source_port": 1}
    assert link.count("conflicts") == 0


def test_rfc6762_5_5_questions_to_our_address_may_come_from_afar():
    link = Link()
    assert link.ask(("box.local", wire.A), to=OURS) == []
    assert link.drops("mdns") == {"unicast": 1}


@pytest.mark.parametrize("flags", [0x0800, 0x2800, 0x0001])
def test_rfc6762_18_other_opcodes_and_codes_are_ignored(flags):
    link = Link()
    assert link.ask(("box.local", wire.A), flags=flags) == []
    assert link.drops("mdns") == {"opcode": 1}


def test_malformed_messages_are_dropped():
    link = Link()
    writer = Writer(1400)
    writer.question(encode("box.local"), wire.A)
    data = bytes(writer.finish(0, 0))
    for end in range(len(data)):
        link.other.send_to(data[:end], GROUP4, 5353)
    link.run(100)
    assert link.take() == []
    assert link.drops("mdns") == {"malformed": len(data)}


def test_other_classes_are_not_ours():
    link = Link()
    assert link.ask(("box.local", wire.A, 3)) == []


# Names and text.


def test_the_name_comes_from_the_mac_without_a_setting():
    link = Link(hostname=None, web=False)
    mac = link.client.nic.mac
    assert link.mdns.host == f"importos-{mac[3]:02x}{mac[4]:02x}{mac[5]:02x}.local"


def test_a_name_with_dots_and_umlauts_is_one_label():
    link = Link(web=False)
    link.mdns.publish("Größe 1.0", "_http._tcp", 80)
    link.run(10_000)
    link.take()
    (message,) = link.ask((HTTP, wire.PTR))
    label = "Größe 1.0".encode()
    assert message.answers[0][4].startswith(bytes([len(label)]))


@pytest.mark.parametrize("kind", ["_http", "http._tcp", "_http._sctp", "_a._b._tcp"])
def test_a_type_that_is_none_is_the_callers_mistake(kind):
    with pytest.raises(ValueError, match="type of service"):
        Link(web=False).mdns.publish("x", kind, 80)


def test_services_are_bounded():
    link = Link(web=False)
    for n in range(8):
        link.mdns.publish(f"s{n}", "_http._tcp", n)
    with pytest.raises(OSError, match="MDNS_SERVICES"):
        link.mdns.publish("more", "_http._tcp", 9)


def test_rfc6763_6_text():
    assert text_data({}) == b"\0"
    assert text_data([("a", "b"), ("flag", None), ("raw", b"\xff")]) == b"\3a=b\4flag\5raw=\xff"
    assert text_data({"a": 1}) == b"\3a=1"
    for wrong in ({"a=b": "c"}, {"": "x"}, {"k": "v" * 254}):
        with pytest.raises(ValueError, match="TXT"):
            text_data(wrong)


def test_labels_are_cut_between_characters():
    assert cut("ü".encode() * 40, 63) == "ü".encode() * 31
    assert CLIENT
