"""Messages as RFC 5424 has them, and what becomes of them on the way."""

from itertools import pairwise

import pytest

from net.syslog import Syslog, parse_setting
from runtime.clock import Clock
from runtime.log import Log
from tests.clients.scene import Scene

START = 1_767_300_000_123_456


class Reporting(Scene):
    def __init__(self, syslog="udp:10.0.0.1", clock=True, tcp=None, **settings):
        Scene.__init__(self, syslog=syslog, **settings)
        self.printed = []
        self.client.log = self.log = Log(self.printed.append, self.world.clock, 3)
        self.client.clock = Clock(lambda: 0, START)
        self.client.clock.synchronised = clock
        self.inet.tcp = tcp
        self.collector = self.serve(514)
        self.syslog = Syslog(self.client)

    @property
    def messages(self):
        return [data.decode() for _, data, _ in self.collector.heard]


HEAD = "1 2026-01-01T20:40:00.123456Z 10.0.0.2 importos - - - "


def test_rfc5424_6_a_message():
    scene = Reporting()
    scene.log.info("eth0: link is %s", "up")
    assert scene.messages == [], "nothing is sent from within the call"
    scene.run(10)
    assert scene.messages == [f"<30>{HEAD}eth0: link is up"]
    assert len(scene.printed) == 1
    assert scene.drops("syslog") == {}


@pytest.mark.parametrize(
    ("level", "priority"), [("error", 27), ("warning", 28), ("info", 30), ("debug", 31)]
)
def test_rfc5424_6_2_1_severities(level, priority):
    scene = Reporting()
    getattr(scene.log, level)("x")
    scene.run(10)
    assert scene.messages == [f"<{priority}>{HEAD}x"]


def test_what_the_level_suppresses_is_not_sent():
    scene = Reporting()
    scene.log.set_level("error")
    scene.log.info("x")
    scene.run(10)
    assert scene.messages == []


def test_rfc5424_6_2_3_who_does_not_know_the_time_says_so():
    scene = Reporting(clock=False)
    scene.log.info("x")
    scene.run(10)
    assert scene.messages == ["<30>1 - 10.0.0.2 importos - - - x"]


def test_a_host_name_of_the_settings():
    scene = Reporting(hostname="box")
    scene.log.info("x")
    scene.run(10)
    assert " box importos " in scene.messages[0]


def test_rfc5424_6_4_utf8_is_announced_and_lines_stay_one():
    scene = Reporting()
    scene.log.info("grün\nrot\x00")
    scene.run(10)
    assert scene.messages == [f"<30>{HEAD}\ufeffgrün rot "]


def test_a_long_message_is_cut_at_a_character():
    scene = Reporting()
    scene.log.info("ü" * 1000)
    scene.run(10)
    data = scene.collector.heard[0][1]
    assert 1020 <= len(data) <= 1024
    assert data.decode().endswith("ü")


def test_datagrams_wait_for_the_way_and_then_come_in_bursts():
    """Of several datagrams to a neighbour that is not known only the last would arrive."""
    scene = Reporting()
    for n in range(30):
        scene.log.info("%d", n)
    scene.run(200)
    assert [message.split()[-1] for message in scene.messages] == [str(n) for n in range(30)]


def test_the_queue_is_bounded_and_says_what_is_missing():
    scene = Reporting()
    for n in range(100):
        scene.log.info("%d", n)
    scene.run(1_000)
    assert len(scene.messages) == 64
    scene.log.info("after")
    scene.run(1_000)
    assert [message.split(" - - - ")[1] for message in scene.messages[64:]] == [
        "36 messages were dropped here",
        "after",
    ]
    assert scene.messages[64].startswith("<28>")
    assert scene.drops("syslog") == {"full": 36}


def test_the_queue_is_bounded_in_bytes():
    scene = Reporting()
    for _ in range(64):
        scene.log.info("x" * 900)
    assert scene.syslog.bytes <= 8192
    scene.run(1_000)
    assert scene.syslog.bytes == 0
    assert len(scene.messages) == 8


def test_before_there_is_an_address_messages_wait():
    scene = Reporting(syslog="")
    configured = []
    scene.inet.when_configured = configured.append
    scene.client.settings["syslog"] = "udp:10.0.0.1"
    Syslog(scene.client)
    scene.log.info("early")
    scene.run(1_000)
    assert scene.messages == []
    configured[0](scene.inet)
    scene.run(10)
    assert len(scene.messages) == 1


def test_a_collector_that_is_not_there_is_counted():
    scene = Reporting()
    scene.collector.socket.close()
    scene.log.info("x")
    scene.run(100)
    assert scene.drops("syslog") == {"unreachable": 1}


def test_closed_it_sends_no_more():
    scene = Reporting()
    scene.syslog.close()
    scene.log.info("x")
    scene.run(100)
    assert scene.messages == []
    assert len(scene.printed) == 1


def test_without_a_setting_nothing_happens():
    scene = Reporting(syslog=None)
    scene.log.info("x")
    scene.run(100)
    assert scene.messages == []


def test_a_name_is_looked_up_until_it_is_found():
    class Resolver:
        asked = 0

        def lookup(self, name, callback):
            self.asked += 1
            assert name == "collector.example"
            callback([b"\x0a\0\0\1"], 0) if self.asked == 3 else callback([], -3)

    scene = Reporting(syslog="")
    scene.client.settings["syslog"] = "udp:collector.example"
    Syslog(scene.client, resolver=Resolver())
    scene.log.info("x")
    scene.run(5_000)
    assert len(scene.messages) == 1
    assert scene.drops("syslog") == {"no_name": 2}


@pytest.mark.parametrize(
    ("setting", "parts"),
    [
        ("udp:10.0.0.1", (False, "10.0.0.1", 514)),
        ("udp:10.0.0.1:5514", (False, "10.0.0.1", 5514)),
        ("tcp:logs.example", (True, "logs.example", 601)),
        ("tcp:[2001:db8::1]", (True, "2001:db8::1", 601)),
        ("udp:[2001:db8::1]:99", (False, "2001:db8::1", 99)),
    ],
)
def test_the_setting(setting, parts):
    assert parse_setting(setting) == parts


@pytest.mark.parametrize(
    "setting", ["10.0.0.1", "udp:", "tls:x", "udp:x:0", "udp:x:70000", "udp:x:y"]
)
def test_a_wrong_setting_is_the_callers_mistake(setting):
    with pytest.raises(ValueError, match="syslog="):
        parse_setting(setting)


def test_tcp_has_to_be_there():
    with pytest.raises(ValueError, match="needs TCP"):
        Reporting(syslog="tcp:10.0.0.1")


# TCP, RFC 6587, before a connection that takes as much as the test says.


class Connection:
    def __init__(self, address, port):
        self.address, self.port = address, port
        self.written = b""
        self.room = 1 << 20
        self.state = "open"

    def write(self, data, offset=0):
        taken = min(self.room, len(data) - offset)
        self.room -= taken
        self.written += data[offset : offset + taken]
        return taken

    def close(self):
        self.state = "closed"


class Tcp:
    def __init__(self):
        self.connections = []

    def connect(self, address, port, on_connected):
        connection = Connection(address, port)
        self.connections.append(connection)
        self.on_connected = on_connected
        return connection

    def establish(self):
        self.on_connected(self.connections[-1])
        return self.connections[-1]


def frames(data):
    """What a receiver makes of the stream."""
    found = []
    while data:
        length, _, data = data.partition(b" ")
        assert int(length) <= len(data)
        found.append(data[: int(length)].decode().split(" - - - ")[1])
        data = data[int(length) :]
    return found


def streaming():
    tcp = Tcp()
    return Reporting(syslog="tcp:10.0.0.1:6514", tcp=tcp), tcp


def test_rfc6587_3_4_1_messages_are_counted():
    scene, tcp = streaming()
    scene.log.info("before")
    scene.run(10)
    connection = tcp.establish()
    assert (connection.address, connection.port) == (b"\x0a\0\0\1", 6514)
    scene.log.info("after ü")
    scene.run(10)
    assert frames(connection.written) == ["before", "\ufeffafter ü"]


def test_a_full_connection_is_waited_for():
    scene, tcp = streaming()
    connection = tcp.establish()
    connection.room = 10
    for n in range(5):
        scene.log.info("%d", n)
    scene.run(10)
    assert len(connection.written) == 10
    while connection.room < 1000 and len(scene.syslog.queue):
        connection.room = 7
        connection.on_writable(connection)
    assert frames(connection.written) == ["0", "1", "2", "3", "4"]


def test_a_broken_connection_is_made_again_and_the_message_comes_whole():
    scene, tcp = streaming()
    connection = tcp.establish()
    connection.room = 10
    scene.log.info("whole")
    scene.run(10)
    connection.on_close(connection, 104)
    scene.run(500)
    assert len(tcp.connections) == 1
    scene.run(1_000)
    assert len(tcp.connections) == 2
    assert frames(tcp.establish().written) == ["whole"]
    assert scene.drops("syslog") == {"lost": 1}


def test_it_tries_less_and_less_often():
    scene, tcp = streaming()
    times = []
    for _ in range(10):
        connection = tcp.connections[-1]
        times.append(scene.world.time)
        connection.on_close(connection, 111)
        while tcp.connections[-1] is connection:
            scene.run(50)
    waits = [after - before for before, after in pairwise(times)]
    assert waits[0] < 1_400
    assert all(60_000 <= wait < 60_500 for wait in waits[6:])
    tcp.establish()
    assert scene.syslog.retries == 0
