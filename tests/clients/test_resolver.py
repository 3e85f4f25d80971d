"""The resolver before servers that do as the test says."""

import pytest

from net.dns import wire
from net.dns.wire import AAAA, CNAME, A, Reader
from net.resolver import NO_DATA, NO_NAME, TRY_AGAIN, Resolver
from tests.clients.replies import OK, address, asked, denial, question, reply
from tests.clients.scene import SECOND, SERVER, Scene

ONE, TWO = b"\x0a\1\1\1", b"\x0a\1\1\2"
SIX = bytes(15) + b"\6"


class Asking(Scene):
    """A scene with a resolver; `answers` collects what its callbacks are told."""

    def __init__(self, answer=None, dns=SERVER, **settings):
        Scene.__init__(self, dns=dns, **settings)
        self.servers = self.serve(53, answer)
        self.resolver = Resolver(self.client)
        self.answers = []

    @property
    def heard(self):
        return self.servers.heard

    def tell(self, addresses, error):
        self.answers.append((addresses, error))

    def ask(self, name, ms=200, family=0):
        """The answer to one lookup."""
        self.answers = []
        self.resolver.lookup(name, self.tell, family)
        assert self.answers == [], "it must not call back from within lookup"
        self.run(ms)
        self.world.check()
        assert len(self.answers) == 1, self.answers
        return self.answers[0]

    def count(self, name):
        return self.client.counters()["resolver." + name]


def always(*addresses, ttl=60):
    return lambda query: address(query, *addresses, ttl=ttl)


# Names and addresses.


def test_rfc1035_an_address_is_found():
    scene = Asking(always(ONE))
    assert scene.ask("www.example") == ([ONE], 0)
    assert scene.drops("resolver") == {}


def test_several_addresses_come_in_the_order_of_the_server():
    assert Asking(always(TWO, ONE)).ask("www.example") == ([TWO, ONE], 0)


def test_addresses_of_one_answer_are_bounded():
    many = [bytes([10, 2, 0, n]) for n in range(40)]
    addresses, error = Asking(always(*many)).ask("www.example")
    assert (addresses, error) == (many[:16], 0)


def test_the_case_of_a_name_does_not_matter():
    scene = Asking(always(ONE))
    scene.ask("WWW.Example")
    scene.ask("www.example")
    assert len(scene.heard) == 1
    assert asked(scene.heard[0][1]) == "www.example"


def test_literal_addresses_ask_nobody():
    scene = Asking(always(ONE))
    assert scene.ask("192.0.2.1") == ([b"\xc0\0\2\1"], 0)
    assert scene.ask("192.0.2.1", family=6) == ([], NO_DATA)
    assert scene.ask("192.0.2.256") == ([], NO_NAME)
    assert scene.ask("192.0.2") == ([], NO_NAME)
    assert scene.heard == []


def test_rfc6761_6_3_localhost_is_the_loopback_address():
    scene = Asking(always(ONE))
    assert scene.ask("localhost") == ([b"\x7f\0\0\1"], 0)
    assert scene.ask("www.LocalHost.") == ([b"\x7f\0\0\1"], 0)
    assert scene.ask("localhost", family=6) == ([bytes(15) + b"\1"], 0)
    assert scene.heard == []


@pytest.mark.parametrize("name", ["x.invalid", "y.local", "z.onion", ".", "", "a..b", "x" * 64])
def test_names_that_cannot_be_found_ask_nobody(name):
    scene = Asking(always(ONE))
    assert scene.ask(name) == ([], NO_NAME)
    assert scene.heard == []


def test_family_6_asks_for_aaaa():
    scene = Asking(always(SIX))
    assert scene.ask("www.example", family=6) == ([SIX], 0)
    assert question(scene.heard[0][1])[2] == AAAA


def test_both_families_are_asked_together_and_the_sixth_comes_first():
    scene = Asking(lambda query: address(query, SIX if question(query)[2] == AAAA else ONE))
    scene.inet.addresses6 = [SIX]
    scene.resolver.lookup("first.example", scene.tell)
    scene.run(500)
    before = len(scene.heard)
    assert scene.ask("www.example", ms=10) == ([SIX, ONE], 0)
    assert len(scene.heard) == before + 2


def test_one_family_that_fails_does_not_hide_the_other():
    scene = Asking(lambda query: address(query, ONE) if question(query)[2] == A else None)
    scene.inet.addresses6 = [SIX]
    assert scene.ask("www.example", ms=10_000) == ([ONE], 0)


def test_an_unknown_family_is_the_callers_mistake():
    with pytest.raises(ValueError):
        Asking().resolver.lookup("www.example", None, family=5)


# The search list, resolv.conf(5).


def only(known):
    return lambda query: address(query, ONE) if asked(query) == known else denial(query)


def test_search_list_is_tried_before_a_name_without_dots():
    scene = Asking(only("www.two.example"), search="one.example,two.example")
    assert scene.ask("www") == ([ONE], 0)
    assert [asked(data) for _, data, _ in scene.heard] == ["www.one.example", "www.two.example"]


def test_search_list_is_tried_after_a_name_with_enough_dots():
    scene = Asking(only("www.sub.one.example"), search="one.example")
    assert scene.ask("www.sub") == ([ONE], 0)
    assert [asked(data) for _, data, _ in scene.heard] == ["www.sub", "www.sub.one.example"]


def test_ndots_decides_how_many_are_enough():
    scene = Asking(only("www.sub.one.example"), search="one.example", ndots="2")
    assert scene.ask("www.sub") == ([ONE], 0)
    assert len(scene.heard) == 1


def test_a_last_dot_says_that_the_name_is_whole():
    scene = Asking(only("www.one.example"), search="one.example")
    assert scene.ask("www.") == ([], NO_NAME)
    assert len(scene.heard) == 1


def test_no_data_anywhere_is_told_before_no_name():
    def answer(query):
        return denial(query, code=0) if asked(query) == "www.one.example" else denial(query)

    scene = Asking(answer, search="one.example,two.example")
    assert scene.ask("www") == ([], NO_DATA)


def test_a_failure_ends_the_search():
    scene = Asking(lambda query: reply(query, code=wire.SERVFAIL), search="one.example,two.example")
    assert scene.ask("www", ms=10_000) == ([], TRY_AGAIN)
    assert {asked(data) for _, data, _ in scene.heard} == {"www.one.example"}


# Aliases.


def test_rfc1034_3_6_2_aliases_are_followed_in_any_order():
    def answer(query):
        return reply(
            query,
            ("c.example", A, 60, ONE),
            ("b.example", CNAME, 60, "c.example"),
            ("a.example", CNAME, 60, "B.example"),
        )

    assert Asking(answer).ask("a.example") == ([ONE], 0)


def test_a_chain_that_the_server_leaves_to_us_is_asked_on():
    def answer(query):
        if asked(query) == "a.example":
            return reply(query, ("a.example", CNAME, 60, "b.elsewhere"))
        return address(query, ONE)

    scene = Asking(answer)
    assert scene.ask("a.example") == ([ONE], 0)
    assert [asked(data) for _, data, _ in scene.heard] == ["a.example", "b.elsewhere"]


def test_the_lowest_ttl_of_the_chain_holds():
    def answer(query):
        return reply(query, ("a.x", CNAME, 5, "b.x"), ("b.x", A, 500, ONE))

    scene = Asking(answer)
    scene.ask("a.x")
    scene.run(6_000)
    scene.ask("a.x")
    assert len(scene.heard) == 2


def test_an_alias_loop_in_an_answer_is_malformed():
    def answer(query):
        return reply(query, ("a.x", CNAME, 5, "b.x"), ("b.x", CNAME, 5, "a.x"))

    scene = Asking(answer)
    assert scene.ask("a.x", ms=10_000) == ([], TRY_AGAIN)
    assert scene.drops("resolver") == {"malformed": 4}


def test_an_endless_chain_over_many_answers_ends():
    def answer(query):
        name = asked(query)
        return reply(query, (name, CNAME, 5, "x" + name))

    scene = Asking(answer)
    assert scene.ask("a.x") == ([], TRY_AGAIN)
    assert len(scene.heard) == 9
    assert scene.drops("resolver") == {"chain": 1}


# Bad news.


def test_rfc2308_no_such_name():
    scene = Asking(denial)
    assert scene.ask("www.example") == ([], NO_NAME)


def test_rfc2308_no_such_data():
    scene = Asking(lambda query: denial(query, code=0))
    assert scene.ask("www.example") == ([], NO_DATA)


@pytest.mark.parametrize(("ttl", "minimum"), [(10, 600), (600, 10)])
def test_rfc2308_5_bad_news_holds_for_the_smaller_of_ttl_and_minimum(ttl, minimum):
    scene = Asking(lambda query: denial(query, ttl=ttl, minimum=minimum))
    scene.ask("www.example", ms=5_000)
    scene.ask("www.example", ms=5_010)
    assert len(scene.heard) == 1
    scene.ask("www.example")
    assert len(scene.heard) == 2


def test_rfc2308_5_bad_news_without_soa_is_not_kept():
    scene = Asking(lambda query: reply(query, code=wire.NXDOMAIN))
    scene.ask("www.example")
    scene.ask("www.example")
    assert len(scene.heard) == 2


def test_rfc2308_5_no_such_name_holds_for_all_types_and_no_data_for_one():
    scene = Asking(denial)
    scene.ask("www.example", family=4)
    scene.ask("www.example", family=6)
    assert len(scene.heard) == 1
    scene = Asking(lambda query: denial(query, code=0))
    scene.ask("www.example", family=4)
    scene.ask("www.example", family=6)
    assert len(scene.heard) == 2


def test_an_soa_of_another_zone_denies_nothing():
    scene = Asking(lambda query: denial(query, zone="elsewhere"))
    scene.ask("www.example")
    scene.ask("www.example")
    assert len(scene.heard) == 2


def test_rfc9520_a_failure_is_remembered_for_seconds():
    scene = Asking(lambda query: reply(query, code=wire.SERVFAIL))
    assert scene.ask("www.example", ms=1_000) == ([], TRY_AGAIN)
    before = len(scene.heard)
    assert scene.ask("www.example", ms=1_000) == ([], TRY_AGAIN)
    assert len(scene.heard) == before
    scene.run(5_000)
    scene.servers.answer = always(ONE)
    assert scene.ask("www.example") == ([ONE], 0)


# The cache.


def test_an_answer_holds_as_long_as_it_says():
    scene = Asking(always(ONE, ttl=10))
    scene.ask("www.example")
    scene.run(9_000)
    scene.ask("www.example")
    assert len(scene.heard) == 1
    scene.run(1_000)
    scene.ask("www.example")
    assert len(scene.heard) == 2


def test_a_ttl_of_zero_is_not_kept():
    scene = Asking(always(ONE, ttl=0))
    scene.ask("www.example")
    scene.ask("www.example")
    assert len(scene.heard) == 2


def test_rfc2181_8_a_ttl_with_the_highest_bit_is_zero():
    scene = Asking(always(ONE, ttl=0x80000000))
    scene.ask("www.example")
    scene.ask("www.example")
    assert len(scene.heard) == 2


def test_the_cache_is_bounded_and_what_ends_first_goes_first():
    scene = Asking(lambda query: address(query, ONE, ttl=1000 - int(asked(query)[1:-2])))
    for n in range(100):
        scene.ask(f"n{n}.x", ms=10)
    cache = scene.resolver.cache
    assert len(cache.entries) == 64
    assert sum([entry.size for entry in cache.entries.values()]) == cache.used <= 16_384
    before = len(scene.heard)
    scene.ask("n0.x")  # which lasts longest
    assert len(scene.heard) == before


def test_an_empty_cache_leaves_no_timer():
    scene = Asking(always(ONE, ttl=10))
    scene.ask("www.example")
    scene.run(11_000)
    assert scene.resolver.cache.entries == {}
    assert not scene.resolver.timer.active


# Several at a time.


def test_the_same_question_is_asked_once_for_all_who_wait():
    scene = Asking(always(ONE))
    for _ in range(10):
        scene.resolver.lookup("www.example", scene.tell)
    scene.run(100)
    assert scene.answers == [([ONE], 0)] * 10
    assert len(scene.heard) == 1
    assert scene.count("joined") == 9


def test_questions_are_bounded():
    scene = Asking()
    for n in range(20):
        scene.resolver.lookup(f"n{n}.example", scene.tell)
    scene.run(100)
    assert scene.answers == [([], TRY_AGAIN)] * 4
    assert scene.drops("resolver") == {"full": 4}
    scene.run(10_000)
    assert len(scene.answers) == 20


def test_lookups_are_bounded():
    scene = Asking()
    for _ in range(70):
        scene.resolver.lookup("www.example", scene.tell)
    scene.run(100)
    assert scene.answers == [([], TRY_AGAIN)] * 6


def test_cancel_calls_nobody_and_gives_the_port_back():
    scene = Asking()
    one = scene.resolver.lookup("www.example", scene.tell)
    other = scene.resolver.lookup("www.example", scene.tell)
    scene.run(10)
    one.cancel()
    scene.servers.answer = always(ONE)
    scene.run(2_000)
    assert scene.answers == [([ONE], 0)]
    other.cancel()
    third = scene.resolver.lookup("third.example", scene.tell)
    third.cancel()
    scene.run(20_000)
    assert len(scene.answers) == 1
    assert scene.resolver.questions == {}
    assert [socket for socket in scene.inet.udp.sockets if socket] == []


def test_a_callback_may_look_up_again():
    scene = Asking(always(ONE))
    again = []

    def first(addresses, error):
        scene.resolver.lookup("other.example", lambda *told: again.append(told))

    scene.resolver.lookup("www.example", first)
    scene.run(100)
    assert again == [([ONE], 0)]


# Servers.


def test_silence_is_asked_again_after_1_2_and_4_seconds():
    scene = Asking()
    start = scene.world.time
    assert scene.ask("www.example", ms=8_000) == ([], TRY_AGAIN)
    times = [when - start for when, _, _ in scene.heard]
    # Once more soon, as it is a stranger.
    assert len(times) == 4
    assert times[0] < 10
    assert 200 <= times[1] < 210
    assert 1_200 <= times[2] < 1_300
    assert 3_200 <= times[3] < 3_400


def test_a_server_that_we_know_is_not_nudged():
    scene = Asking(always(ONE))
    scene.ask("first.example")
    scene.servers.answer = None
    scene.ask("second.example", ms=8_000)
    assert len(scene.heard) == 1 + 3


def test_rfc5452_9_2_every_query_has_a_port_and_a_number_of_its_own():
    scene = Asking()
    for n in range(8):
        scene.resolver.lookup(f"n{n}.example", scene.tell)
    scene.run(20_000)
    ports = {port for _, _, port in scene.heard}
    numbers = {data[:2] for _, data, _ in scene.heard}
    assert len(scene.heard) > 24
    assert len(ports) == len(numbers) == len(scene.heard)
    assert min(ports) >= 49152


def second(scene, answer):
    host = scene.host("second", SECOND)
    return scene.serve(53, answer, host)


def test_the_next_server_is_asked_when_the_first_is_silent():
    scene = Asking(dns=f"{SERVER},{SECOND}")
    other = second(scene, always(ONE))
    assert scene.ask("www.example", ms=2_000) == ([ONE], 0)
    assert (len(scene.heard), len(other.heard)) == (2, 1)


@pytest.mark.parametrize("code", [wire.SERVFAIL, wire.REFUSED, 9])
def test_the_next_server_is_asked_at_once_when_the_first_fails(code):
    scene = Asking(lambda query: reply(query, code=code), dns=f"{SERVER},{SECOND}")
    second(scene, always(ONE))
    assert scene.ask("www.example") == ([ONE], 0)


def test_a_server_that_fails_is_asked_last_for_a_while():
    scene = Asking(dns=f"{SERVER},{SECOND}")
    other = second(scene, always(ONE))
    scene.ask("a.example", ms=1_500)
    assert scene.ask("b.example", ms=100) == ([ONE], 0)
    assert (len(scene.heard), len(other.heard)) == (2, 2)
    scene.servers.answer = always(TWO)
    scene.run(6_000)
    assert scene.ask("c.example", ms=100) == ([TWO], 0)


def test_a_port_that_nobody_has_is_as_good_as_an_answer():
    scene = Asking(dns=f"{SECOND},{SERVER}")
    scene.host("second", SECOND)
    scene.servers.answer = always(ONE)
    assert scene.ask("www.example", ms=100) == ([ONE], 0)
    assert scene.drops("resolver") == {"unreachable": 1}


def test_servers_may_come_later_than_the_question():
    scene = Asking(always(ONE))
    scene.inet.dns = []
    scene.resolver.lookup("www.example", scene.tell)
    scene.run(2_500)
    assert scene.answers == []
    scene.inet.dns = [b"\x0a\0\0\1"]
    scene.run(1_000)
    assert scene.answers == [([ONE], 0)]


def test_without_servers_it_gives_up():
    scene = Asking(dns="")
    assert scene.ask("www.example", ms=12_000) == ([], TRY_AGAIN)


# EDNS, RFC 6891.


def opt(query):
    found = []
    for _, _, kind, rclass, _, _, _ in Reader(query):
        if kind == wire.OPT:
            found.append(rclass)
    return found


def test_rfc6891_we_say_how_much_we_take():
    scene = Asking(always(ONE))
    scene.ask("www.example")
    assert opt(scene.heard[0][1]) == [1232]


@pytest.mark.parametrize("code", [wire.FORMERR, wire.NOTIMP])
@pytest.mark.parametrize("bare", [False, True])
def test_rfc6891_7_a_server_without_edns_is_asked_without(code, bare):
    if bare and code == wire.NOTIMP:
        return

    def answer(query):
        if not opt(query):
            return address(query, ONE)
        if bare:
            return query[:2] + bytes([0x80, code]) + bytes(8)
        return reply(query, code=code)

    scene = Asking(answer)
    assert scene.ask("www.example") == ([ONE], 0)
    assert scene.ask("other.example") == ([ONE], 0)
    assert [opt(data) for _, data, _ in scene.heard] == [[1232], [], []]


# What must not be believed.


def believed(change, **settings):
    """Whether an answer that is wrong in one way is taken; the right one comes behind it."""

    def answer(query):
        return [change(query), address(query, ONE)]

    scene = Asking(answer, **settings)
    found = scene.ask("www.example")
    assert found in [([ONE], 0), ([TWO], 0)]
    return found == ([TWO], 0), scene.drops("resolver")


def test_the_right_answer_is_believed():
    assert believed(lambda query: address(query, TWO)) == (True, {})


WRONG = {
    "number": lambda query: reply(
        query, ("www.example", A, 60, TWO), number=question(query)[0] ^ 1
    ),
    "name": lambda query: reply(query, ("www.example", A, 60, TWO), ask=(b"\3xxx\7example\0", A)),
    "type": lambda query: reply(query, ("www.example", A, 60, TWO), ask=(question(query)[1], AAAA)),
    "query": lambda query: reply(query, ("www.example", A, 60, TWO), flags=0),
    "opcode": lambda query: reply(query, ("www.example", A, 60, TWO), flags=OK | 0x2000),
}


@pytest.mark.parametrize("what", sorted(WRONG))
def test_rfc5452_9_1_an_answer_matches_its_question(what):
    assert believed(WRONG[what]) == (False, {"mismatch": 1})


BROKEN = {
    "short": lambda query: query[:11],
    "cut": lambda query: address(query, TWO)[:-1],
    "loop": lambda query: query[:2] + b"\x81\x80\0\1\0\0\0\0\0\0\xc0\x0c\0\1\0\1",
    "address size": lambda query: reply(query, ("www.example", A, 60, TWO + b"x")),
    "counts": lambda query: address(query, TWO)[:7] + b"\2" + address(query, TWO)[8:],
}


@pytest.mark.parametrize("what", sorted(BROKEN))
def test_a_broken_answer_is_dropped(what):
    assert believed(BROKEN[what]) == (False, {"malformed": 1})


def test_rfc5452_9_1_an_answer_comes_from_the_server_that_was_asked():
    scene = Asking()
    stranger = scene.host("stranger", SECOND)
    scene.resolver.lookup("www.example", scene.tell)
    scene.run(100)
    _, query, port = scene.heard[0]
    stranger.inet.udp.bind(53, None).send_to(address(query, TWO), b"\x0a\0\0\2", port)
    scene.server.inet.udp.bind(54, None).send_to(address(query, TWO), b"\x0a\0\0\2", port)
    scene.run(100)
    assert scene.answers == []
    assert scene.drops("resolver") == {"stranger": 2}


def test_records_of_other_names_are_not_used():
    def answer(query):
        return reply(query, ("bank.example", A, 60, TWO), (asked(query), A, 60, ONE))

    scene = Asking(answer)
    assert scene.ask("www.example") == ([ONE], 0)
    assert scene.drops("resolver") == {"foreign": 1}
    scene.servers.answer = always(ONE)
    assert scene.ask("bank.example") == ([ONE], 0)
    assert len(scene.heard) == 2


def test_an_answer_to_another_port_is_nobodys():
    scene = Asking()
    scene.resolver.lookup("www.example", scene.tell)
    scene.run(100)
    _, query, port = scene.heard[0]
    scene.servers.socket.send_to(address(query, TWO), b"\x0a\0\0\2", port ^ 1)
    scene.run(100)
    assert scene.answers == []


def test_a_late_answer_to_the_query_before_is_not_taken():
    scene = Asking()
    scene.resolver.lookup("www.example", scene.tell)
    scene.run(1_500)
    assert len(scene.heard) == 3
    _, query, port = scene.heard[1]
    scene.servers.socket.send_to(address(query, TWO), b"\x0a\0\0\2", port)
    scene.run(100)
    assert scene.answers == []


def test_a_truncated_answer_without_tcp_is_no_answer():
    scene = Asking(lambda query: address(query, TWO, flags=OK | wire.TC))
    assert scene.ask("www.example", ms=1_000) == ([], TRY_AGAIN)
    assert scene.drops("resolver") == {"truncated": 3}


# TCP, RFC 7766; net/tcp itself is not needed to see what the resolver does with it.


class Segment:
    def __init__(self, data):
        self.data = data


class Connection:
    def __init__(self, address, port):
        self.address, self.port = address, port
        self.written = b""
        self.aborted = False

    def write(self, data):
        self.written += data
        return len(data)

    def abort(self):
        self.aborted = True

    def say(self, data):
        self.on_data(self, Segment(data))


class Tcp:
    def __init__(self):
        self.connections = []

    def connect(self, address, port, on_connected):
        connection = Connection(address, port)
        self.connections.append((connection, on_connected))
        return connection


def truncating(**settings):
    scene = Asking(lambda query: address(query, TWO, flags=OK | wire.TC), **settings)
    scene.inet.tcp = Tcp()
    scene.resolver.lookup("www.example", scene.tell)
    scene.run(100)
    return scene


def established(scene):
    connection, on_connected = scene.inet.tcp.connections[-1]
    on_connected(connection)
    length = connection.written[0] << 8 | connection.written[1]
    assert length == len(connection.written) - 2
    return connection, connection.written[2:]


def framed(message):
    return len(message).to_bytes(2, "big") + bytes(message)


def test_rfc7766_a_truncated_answer_is_asked_for_by_tcp():
    scene = truncating()
    connection, query = established(scene)
    assert (connection.address, connection.port) == (b"\x0a\0\0\1", 53)
    assert query[:2] != scene.heard[0][1][:2]
    message = framed(address(query, ONE))
    for at in range(len(message)):
        connection.say(message[at : at + 1])
    scene.run(10)
    assert scene.answers == [([ONE], 0)]
    assert connection.aborted
    assert scene.drops("resolver") == {}


def test_rfc7766_a_server_that_hangs_up_is_no_help():
    scene = truncating()
    for _ in range(3):
        connection, _ = established(scene)
        connection.on_close(connection, 104)
        scene.run(100)
    assert scene.answers == [([], TRY_AGAIN)]
    assert scene.drops("resolver") == {"closed": 3}


def test_a_stream_that_says_something_else_is_given_up():
    scene = truncating()
    connection, query = established(scene)
    connection.say(framed(reply(query, number=0)))
    assert connection.aborted
    assert scene.drops("resolver") == {"mismatch": 1}


def test_a_stream_that_would_be_long_is_given_up():
    scene = truncating()
    connection, _ = established(scene)
    connection.say(b"\xff\xff")
    assert connection.aborted
    assert scene.drops("resolver") == {"too_long": 1}


def test_a_silent_stream_is_given_up():
    scene = truncating()
    established(scene)
    scene.run(5_100)
    assert len(scene.inet.tcp.connections) == 2
    assert scene.inet.tcp.connections[0][0].aborted
