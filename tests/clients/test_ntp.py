"""The NTP client before servers whose clocks are the world's, or as wrong as the test says."""

from itertools import pairwise

import pytest

from net.ntp import LONGEST_POLL, Ntp
from net.ntp import packet as ntp_packet
from net.ntp.select import combine, intersect
from runtime.clock import Clock
from tests.clients.scene import SERVER, Scene

MILLION = 1_000_000
START = 1_767_300_000_000_000  # the true time when the world begins


def stamp(us):
    """A time as an NTP timestamp, rounded up."""
    seconds, rest = divmod(us, MILLION)
    fraction = -((-rest << 32) // MILLION)
    return ((seconds + 2_208_988_800) % (1 << 32)).to_bytes(4, "big") + fraction.to_bytes(4, "big")


class Timing(Scene):
    """The client's clock is `wrong` us off at the start and runs `ppm` too fast."""

    def __init__(self, wrong=0, ppm=0, servers=1, ntp=None, **settings):
        names = [SERVER] + [f"10.0.0.{n}" for n in range(3, 2 + servers)]
        Scene.__init__(self, ntp=",".join(names) if ntp is None else ntp, **settings)
        self.ppm = ppm
        self.begin = self.world.time
        self.client.clock = self.clock = Clock(self.uptime, START + wrong)
        self.replies = {}  # change of a reply by server
        self.servers = []
        for number, name in enumerate(names):
            host = self.server if number == 0 else self.host(f"server{number}", name)
            self.replies[number] = {}
            self.servers.append(self.serve(123, lambda data, n=number: self.reply(data, n), host))
        self.ntp = Ntp(self.client)

    def uptime(self):
        return (self.world.time - self.begin) * (1000 * MILLION + 1000 * self.ppm) // MILLION

    @property
    def true(self):
        return START + (self.world.time - self.begin) * 1000

    @property
    def error(self):
        """How wrong the clock is, in us."""
        return self.clock.now_us() - self.true

    def reply(self, data, number):
        change = self.replies[number]
        if change is None:
            return None
        now = self.true + change.get("off", 0)
        fields = {
            "first": 0x24,
            "stratum": 2,
            "root_delay": 100,
            "root_dispersion": 100,
            "id": b"GPS\0",
            "origin": data[40:48],
            "receive": stamp(now),
            "transmit": stamp(now),
        }
        fields.update(change)
        return (
            bytes([fields["first"], fields["stratum"], 6, 0xEC])
            + fields["root_delay"].to_bytes(4, "big")
            + fields["root_dispersion"].to_bytes(4, "big")
            + fields["id"]
            + bytes(8)
            + fields["origin"]
            + fields["receive"]
            + fields["transmit"]
        )

    @property
    def heard(self):
        return self.servers[0].heard

    def count(self, name):
        return self.client.counters()["ntp." + name]


def test_rfc5905_a_request_says_nothing_but_version_and_mode():
    scene = Timing()
    scene.run(1_000)
    data = scene.heard[0][1]
    assert data[:40] == b"\x23" + bytes(39)
    assert len(data) == 48
    assert any(data[40:])


def test_the_first_correction_is_a_step():
    scene = Timing(wrong=-86_400 * MILLION)
    scene.run(10_000)
    assert abs(scene.error) <= 2_000
    assert scene.clock.synchronised
    assert scene.count("steps") == 1
    assert scene.drops("ntp") == {}


def test_a_small_first_correction_is_a_slew():
    scene = Timing(wrong=100_000)
    scene.run(10_000)
    assert scene.count("steps") == 0
    assert 90_000 < scene.error < 100_000
    scene.run(300_000)
    assert abs(scene.error) <= 2_000


def test_a_burst_of_four_then_every_64_seconds():
    scene = Timing()
    scene.run(140_000)
    times = [when - scene.begin for when, _, _ in scene.heard]
    assert len(times) == 6 or len(times) == 5
    assert times[3] <= 6_010
    for before, after in pairwise(times[3:]):
        assert 56_000 <= after - before <= 73_000


def test_every_request_has_a_number_of_its_own():
    scene = Timing()
    scene.run(600_000)
    numbers = {data[40:48] for _, data, _ in scene.heard}
    assert len(numbers) == len(scene.heard) > 8


@pytest.mark.parametrize("ppm", [0, 50, -50, 200])
def test_the_rate_of_the_oscillator_is_learned(ppm):
    scene = Timing(ppm=ppm)
    scene.run(3 * 3_600_000)
    assert abs(scene.clock.rate + 1000 * ppm) < 2_000  # within 2 ppm
    assert abs(scene.error) <= 3_000
    # An hour later without a server it is still right to 10 ms.
    scene.replies[0] = None
    scene.run(3_600_000)
    assert abs(scene.error) <= 10_000
    assert scene.count("steps") == 0


def test_the_interval_grows_while_all_is_well():
    scene = Timing()
    scene.run(4 * 3_600_000)
    assert scene.ntp.poll == LONGEST_POLL
    times = [when for when, _, _ in scene.heard]
    assert times[-1] - times[-2] > 800_000


def test_the_clock_never_jumps_once_it_is_right():
    """A server that wanders by 100 ms is followed, slowly."""
    scene = Timing()
    scene.run(60_000)
    scene.replies[0] = {"off": 100_000}
    last = scene.clock.now_us()
    for _ in range(600):
        scene.run(1_000)
        now = scene.clock.now_us()
        assert 999_000 <= now - last <= 1_001_000
        last = now
    assert scene.count("steps") == 0
    assert scene.error > 50_000


def test_rfc5905_11_3_a_large_offset_must_last_before_the_clock_steps():
    scene = Timing()
    scene.run(60_000)
    scene.replies[0] = {"off": 10 * MILLION}
    scene.run(240_000)
    assert abs(scene.error) < 2_000
    assert scene.count("steps") == 0
    assert scene.drops("ntp")["spike"] > 0
    scene.run(400_000)
    assert scene.count("steps") == 1
    assert abs(scene.error - 10 * MILLION) < 3_000


def test_a_large_offset_that_goes_away_does_nothing():
    scene = Timing()
    scene.run(60_000)
    scene.replies[0] = {"off": 10 * MILLION}
    scene.run(100_000)
    scene.replies[0] = {}
    scene.run(2_000_000)
    assert scene.count("steps") == 0
    assert abs(scene.error) < 2_000


# Several servers.


def test_one_of_three_that_is_wrong_is_not_believed():
    scene = Timing(wrong=-3_600 * MILLION, servers=3)
    scene.replies[0] = {"off": 7_000 * MILLION}
    scene.run(30_000)
    assert abs(scene.error) <= 3_000


def test_two_that_disagree_are_not_believed():
    scene = Timing(servers=2)
    scene.replies[0] = {"off": 7 * MILLION}
    scene.run(60_000)
    assert not scene.clock.synchronised
    assert scene.drops("ntp")["no_majority"] > 0


def test_one_of_two_that_is_silent_does_not_hold_up_the_other():
    scene = Timing(wrong=-3_600 * MILLION, servers=2)
    scene.replies[0] = None
    scene.run(120_000)
    assert abs(scene.error) <= 2_000


def test_intersection_of_rfc5905():
    assert intersect([]) == []
    assert intersect([(5, 1)]) == [(5, 1)]
    assert (
        intersect([(0, 10), (8, 10), (4, 3)]) == [(4, 3)]
        or len(intersect([(0, 10), (8, 10), (4, 3)])) >= 2
    )
    assert intersect([(0, 1), (100, 1)]) == []
    right = [(0, 5), (1, 5), (2, 5)]
    assert intersect([*right, (100, 5)]) == right
    assert intersect([*right, (100, 5), (100, 5)]) == right
    assert intersect([(0, 5), (1, 5), (100, 5), (100, 5)]) == []
    assert combine([(10, 5), (20, 5)]) == 15
    assert combine([(10, 1), (20, 1000)]) < 11


def test_the_sample_with_the_least_delay_counts():
    """A reply that was late by 100 ms on one way only would be 50 ms wrong."""
    scene = Timing()
    scene.run(8_000)
    asked = []
    scene.servers[0].answer = lambda data: asked.append(data)

    def late():
        wire = scene.reply(asked[0], 0)
        scene.world.later(100, lambda: scene.servers[0].socket.send_to(wire, b"\x0a\0\0\2", port))

    while not asked:
        scene.run(1_000)
    port = scene.heard[-1][2]
    late()
    scene.run(1_000)
    assert abs(scene.ntp.offset) <= 2_000


# What must not be believed: RFC 5905 section 8.


def refused(**change):
    scene = Timing(wrong=-3_600 * MILLION)
    scene.replies[0] = change
    scene.run(20_000)
    assert scene.ntp.clock.synchronised is False
    assert scene.ntp.servers[0].filter.samples == []
    return scene.drops("ntp")


def test_rfc5905_8_a_reply_that_is_not_to_our_request_is_bogus():
    assert refused(origin=bytes(8)) == {"bogus": 4}


def test_rfc5905_8_a_duplicate_is_bogus():
    scene = Timing()
    scene.servers[0].answer = lambda data: [scene.reply(data, 0)] * 2
    scene.run(7_000)
    assert scene.count("replies") == 4
    assert scene.drops("ntp") == {"bogus": 4}


@pytest.mark.parametrize("first", [0x23, 0x25, 0x26, 0x20, 0x2C, 0x04])
def test_rfc5905_8_only_servers_of_a_known_version_are_heard(first):
    assert refused(first=first) == {"mode": 4}


@pytest.mark.parametrize(
    "change",
    [{"first": 0xE4}, {"stratum": 16}, {"stratum": 255}, {"transmit": bytes(8)}],
)
def test_rfc5905_8_a_server_that_does_not_know_the_time(change):
    assert refused(**change) == {"unsynchronised": 4}


def test_a_server_whose_time_runs_backwards():
    assert refused(receive=stamp(START + 100), transmit=stamp(START)) == {"backwards": 4}


def test_rfc5905_a_server_too_far_from_the_source_is_not_believed():
    scene = Timing(wrong=-3_600 * MILLION)
    scene.replies[0] = {"root_dispersion": 2 << 16}
    scene.run(20_000)
    assert not scene.clock.synchronised
    assert scene.drops("ntp") == {"distant": 1}


def test_short_replies_and_strangers():
    scene = Timing()
    scene.servers[0].answer = lambda data: scene.reply(data, 0)[:47]
    other = scene.serve(1234)
    scene.run(1_000)
    other.socket.send_to(scene.reply(bytes(48), 0), b"\x0a\0\0\2", scene.heard[0][2])
    scene.run(7_000)
    assert scene.drops("ntp") == {"short": 4, "stranger": 1}


# Kiss-o'-death: RFC 5905 section 7.4.


@pytest.mark.parametrize("code", [b"DENY", b"RSTR"])
def test_rfc5905_7_4_who_is_denied_asks_no_more(code):
    scene = Timing()
    scene.replies[0] = {"stratum": 0, "id": code}
    scene.run(3_600_000)
    assert len(scene.heard) == 1
    assert scene.count("kisses") == 1


def test_rfc5905_7_4_who_asks_too_often_asks_less_often():
    scene = Timing()
    scene.run(20_000)
    before = len(scene.heard)
    scene.replies[0] = {"stratum": 0, "id": b"RATE"}
    scene.run(100_000)
    scene.replies[0] = {}
    scene.run(500_000)
    times = [when for when, _, _ in scene.heard[before:]]
    assert min([after - b for b, after in pairwise(times)]) > 110_000


def test_rfc5905_7_4_a_kiss_that_we_have_not_asked_for_is_bogus():
    scene = Timing()
    scene.replies[0] = {"stratum": 0, "id": b"DENY", "origin": bytes(8)}
    scene.run(10_000)
    assert len(scene.heard) == 4
    assert scene.drops("ntp") == {"bogus": 4}


def test_rfc5905_13_a_silent_server_is_asked_less_and_less_often():
    scene = Timing()
    scene.replies[0] = None
    scene.run(24 * 3_600_000)
    times = [when for when, _, _ in scene.heard]
    assert times[-1] - times[-2] > 800_000
    assert len(times) < 130


# Where the servers come from.


def test_names_need_a_resolver_and_get_one():
    class Resolver:
        asked = 0

        def lookup(self, name, callback):
            assert name == "time.example"
            self.asked += 1
            callback([b"\x0a\0\0\1"], 0) if self.asked == 3 else callback([], -3)

    scene = Timing(ntp="time.example")
    assert scene.ntp.servers == []
    assert scene.drops("ntp") == {"no_name": 1}
    scene.client.clock = Clock(scene.uptime, START)
    scene.client.settings["ntp"] = "time.example"
    ntp = Ntp(scene.client, resolver=Resolver())
    assert ntp.servers == []
    scene.run(121_000)
    assert [server.address for server in ntp.servers] == [b"\x0a\0\0\1"]


def test_servers_of_dhcp_come_and_go():
    scene = Timing(ntp="")
    assert scene.ntp.servers == []
    scene.inet.ntp = [b"\x0a\0\0\1"]
    scene.ntp.configured(scene.inet)
    scene.run(10_000)
    assert scene.clock.synchronised
    scene.inet.ntp = []
    scene.ntp.configured(scene.inet)
    assert scene.ntp.servers == []


def test_closed_it_asks_no_more():
    scene = Timing()
    scene.run(10_000)
    scene.ntp.close()
    before = len(scene.heard)
    scene.run(1_000_000)
    assert len(scene.heard) == before


# The wire.


@pytest.mark.parametrize("seconds", [1_767_300_000, 2_085_978_495, 2_085_978_497, 3_000_000_000])
def test_timestamps_go_on_after_2036(seconds):
    data = stamp(seconds * MILLION + 250_000)
    assert ntp_packet.timestamp(data, 0, 0) == seconds * MILLION + 250_000


def test_timestamps_follow_a_clock_that_is_beyond_the_next_era():
    seconds = 6_000_000_000
    data = stamp(seconds * MILLION)
    assert ntp_packet.timestamp(data, 0, seconds * MILLION - 5) == seconds * MILLION
