"""The guest agent's conversation: framing, errors by class, bounds; and each command's answer."""

import json
import sys
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.clock import Clock
from tests.support.metal import Machine as Hardware
from tests.support.timer import Timer

NETWORK = {"name", "hardware-address", "ip-addresses"}


class Disk:
    """Writes end when the test says so."""

    def __init__(self, read_only=False, status=0):
        self.read_only, self.status = read_only, status
        self.under_way, self.written, self.flushes = 0, [], 0

    def write(self, sector, buffer, done):
        self.written.append(sector)

    discard = write_zeroes = write

    def busy(self):
        return self.under_way

    def flush(self, done):
        self.flushes += 1
        done(self.status, b"")


class Port:
    """The channel; `room` is how many bytes it takes before it is full."""

    def __init__(self):
        self.sent, self.room, self.wants = b"", 1 << 30, 0

    def write(self, data):
        taken = min(len(data), self.room)
        self.sent += data[:taken]
        self.room -= taken
        return taken

    def go_on(self):
        self.wants += 1


class Machine:
    def __init__(self):
        self.hardware = Hardware()
        self.log = self.timers = self
        self.lines, self.ends, self.disks, self.nics = [], [], [], []
        self.instance = self.inet = None
        self.settings = {"hostname": "ns1"}
        self.clock = Clock(lambda: 1000 * self.hardware.ms, 1_700_000_000_000_000)
        self.stops = []

    def info(self, text, *values):
        self.lines.append(text % values)

    warning = info

    def timer(self, callback):
        self.alarm = Timer(callback)
        return self.alarm

    def stop(self, again=False):
        self.stops.append(again)


class Bench:
    def __init__(self, agent):
        self.machine = Machine()
        self.agent = agent.Agent(self.machine)
        self.port = Port()
        self.agent.opened(self.port, True)

    def say(self, data):
        """The answers to some bytes, as lines."""
        self.port.sent = b""
        self.agent.received(self.port, data)
        return self.port.sent.splitlines()

    def __call__(self, command, **arguments):
        asked = json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n"
        (answer,) = self.say(asked)
        return json.loads(answer)

    def fails(self, command, **arguments):
        error = self(command, **arguments)["error"]
        assert set(error) == {"class", "desc"} and error["desc"]
        return error["class"]


@pytest.fixture
def bench(monkeypatch):
    image = types.ModuleType("image")
    image.NAME = "dns"
    monkeypatch.setitem(sys.modules, "image", image)
    import runtime.instance.agent

    return Bench(runtime.instance.agent)


def test_what_libvirt_says_and_what_it_gets(bench):
    """The lines are libvirt 9.0's."""
    (answer,) = bench.say(b'{"execute":"guest-sync", "arguments":{"id":1795227392244}}\n')
    assert json.loads(answer) == {"return": 1795227392244}
    assert bench.say(b'{"execute":"guest-ping"}\n') == [b'{"return": {}}']
    assert bench("guest-set-time", time=1_795_227_392_000_000_000) == {"return": {}}
    assert bench("guest-get-time") == {"return": 1_795_227_392_000_000_000}
    assert bench("guest-get-host-name") == {"return": {"host-name": "ns1"}}
    assert bench("guest-get-fsinfo") == {"return": []}
    password = {"crypted": False, "username": "root", "password": "c2VjcmV0"}
    assert bench.fails("guest-set-user-password", **password) == "CommandNotFound"
    assert bench.say(b'{"execute":"guest-shutdown","arguments":{"mode":"powerdown"}}\n') == []
    assert bench.machine.stops == [False]
    assert "c2VjcmV0" not in "".join(bench.machine.lines)


def test_sync_delimited_begins_with_a_byte_that_no_json_has(bench):
    asked = b'{"execute":"guest-sync-delimited","arguments":{"id":7}}\n'
    assert bench.say(b'{"execute": "half of \xff' + asked) == [b'\xff{"return": 7}']


def test_the_sentinel_ends_a_line_that_was_too_long(bench):
    bench.say(b"x" * 5000)
    assert bench.say(b'\xff{"execute":"guest-ping"}\n') == [b'{"return": {}}']


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"hello",
        b"[]",
        b"7",
        b'"guest-ping"',
        b"{}",
        b'{"execute": 7}',
        b'{"execute": "guest-ping", "arguments": []}',
        b'{"execute": "guest-sync"}',
        b'{"execute": "guest-sync", "arguments": {"id": "x"}}',
        b'{"execute": "guest-sync", "arguments": {"id": true}}',
        b'{"execute": "guest-sync", "arguments": {"id": 9223372036854775808}}',
        b'{"execute": "guest-set-time", "arguments": {"time": -1}}',
        b'{"execute": "guest-set-time", "arguments": {"time": "now"}}',
        b'{"execute": "guest-set-time", "arguments": {"time": 9' + b"9" * 40 + b"}}",
        b'{"execute": "guest-shutdown", "arguments": {"mode": "explode"}}',
        b'{"execute": "guest-ping", "x": "\xfe\xfd"}',
        b'{"execute": "guest-ping", "x": ' + b"[" * 2000 + b"]" * 2000 + b"}",
        b"[" * 4096,
        b"x" * 5000,
        b" " * 100_000 + b"x",
    ],
)
def test_nonsense_is_a_generic_error_and_the_next_line_is_heard(bench, line):
    answers = bench.say(line + b"\n")
    assert [json.loads(answer)["error"]["class"] for answer in answers] == ["GenericError"]
    assert bench("guest-ping") == {"return": {}}
    assert bench.machine.stops == []


def test_an_unknown_command_is_command_not_found(bench):
    assert bench.fails("guest-fly") == "CommandNotFound"
    assert bench.fails("guest-exec", path="/bin/sh") == "CommandNotFound"


def test_the_id_of_a_question_is_the_answers(bench):
    (answer,) = bench.say(b'{"execute": "guest-ping", "id": "q1"}\n')
    assert json.loads(answer) == {"return": {}, "id": "q1"}
    (answer,) = bench.say(b'{"execute": "guest-ping"}\n')
    assert json.loads(answer) == {"return": {}}


@pytest.mark.parametrize("id", [None, True, 0, -1, "", "\n\0", [1, {"a": None}], {"b": "c"}])
def test_an_id_is_any_value_as_the_real_agent_has_it(bench, id):
    for command in ("guest-ping", "guest-fly"):
        (answer,) = bench.say(json.dumps({"execute": command, "id": id}).encode() + b"\n")
        assert json.loads(answer)["id"] == id


def test_a_flush_of_a_freeze_that_is_over_does_not_answer_the_next_one(bench):
    """The host hung up in the midst, and begins anew."""

    class Slow(Disk):
        def flush(self, done):
            self.flushes += 1
            self.done = [*getattr(self, "done", []), done]

    disk = Slow()
    bench.machine.disks = [disk]
    bench.say(b'{"execute":"guest-fsfreeze-freeze"}\n')
    bench.machine.alarm.callback()
    bench.agent.opened(bench.port, False)
    bench.agent.opened(bench.port, True)
    assert bench("guest-fsfreeze-thaw") == {"return": 1}
    bench.say(b'{"execute":"guest-fsfreeze-freeze"}\n')
    bench.machine.alarm.callback()
    disk.done[0](0, b"")
    assert bench.port.sent == b"", "the second flush is under way"
    disk.done[1](0, b"")
    assert json.loads(bench.port.sent) == {"return": 1}


def test_blank_lines_are_nothing(bench):
    assert bench.say(b"\n\r\n  \n") == []


def test_info_tells_all_commands_as_the_reference_has_it(bench):
    info = bench("guest-info")["return"]
    assert isinstance(info["version"], str)
    commands = {each.pop("name"): each for each in info["supported_commands"]}
    assert all(set(each) == {"enabled", "success-response"} for each in commands.values())
    assert not commands["guest-shutdown"]["success-response"]
    assert not commands["guest-set-user-password"]["enabled"]
    assert commands["guest-fsfreeze-freeze"] == {"enabled": True, "success-response": True}


def test_reboot_is_an_end_after_which_the_machine_starts_again(bench):
    bench.say(b'{"execute":"guest-shutdown","arguments":{"mode":"reboot"}}\n')
    assert bench.machine.stops == [True]


def test_a_host_that_does_not_read_is_not_read_either(bench):
    """Answers are kept for as long as they do not fit, and only those of one question."""
    bench.port.room = 10
    question = b'{"execute":"guest-info"}\n'
    assert bench.agent.received(bench.port, question * 20) is False
    assert len(bench.port.sent) == 10
    waiting = len(bench.agent.output)
    assert 500 < waiting < 8192
    bench.port.room = 1 << 30
    bench.agent.writable(bench.port)
    assert len(bench.port.sent.splitlines()) == 20
    assert bench.port.wants == 1
    assert (bench.agent.output, bench.agent.input) == (b"", b"")


@given(st.lists(st.binary(max_size=40)))
def test_any_bytes_in_any_pieces(pieces):
    image = types.ModuleType("image")
    image.NAME = "dns"
    sys.modules.setdefault("image", image)
    import runtime.instance.agent

    bench = Bench(runtime.instance.agent)
    for piece in pieces:
        for answer in bench.say(piece):
            assert set(json.loads(answer.lstrip(b"\xff"))) == {"error"}
    assert bench.say(b'\xff{"execute":"guest-ping"}\n') == [b'{"return": {}}']


# Frozen.


def test_frozen_what_was_under_way_is_finished_and_flushed_then_writes_wait(bench):
    disk, rom = Disk(), Disk(read_only=True)
    bench.machine.disks = [disk, rom]
    disk.under_way = 1
    assert bench.say(b'{"execute":"guest-fsfreeze-freeze"}\n') == []
    disk.write(1, b"", None)
    bench.machine.alarm.callback()
    assert bench.port.sent == b"" and disk.flushes == 0, "a write is under way"
    disk.under_way = 0
    bench.machine.alarm.callback()
    assert json.loads(bench.port.sent) == {"return": 1}
    assert (disk.flushes, rom.flushes) == (1, 0)
    assert bench("guest-fsfreeze-status") == {"return": "frozen"}
    assert bench.fails("guest-get-time") == "CommandNotFound"
    disk.write(2, b"", None)
    disk.discard(3, 1, None)
    assert disk.written == []
    assert bench("guest-fsfreeze-thaw") == {"return": 1}
    assert disk.written == [1, 2, 3]
    assert bench("guest-fsfreeze-status") == {"return": "thawed"}
    assert bench("guest-fsfreeze-thaw") == {"return": 0}
    disk.write(4, b"", None)
    assert disk.written == [1, 2, 3, 4]


def test_a_second_freeze_is_refused(bench):
    bench.say(b'{"execute":"guest-fsfreeze-freeze"}\n')
    bench.machine.alarm.callback()
    assert bench.fails("guest-fsfreeze-freeze") == "GenericError"


def test_a_disk_that_cannot_flush_is_an_error_and_nothing_is_frozen(bench):
    bench.machine.disks = [Disk(status=5), Disk()]
    bench.say(b'{"execute":"guest-fsfreeze-freeze"}\n')
    bench.machine.alarm.callback()
    assert json.loads(bench.port.sent)["error"]["class"] == "GenericError"
    assert bench("guest-fsfreeze-status") == {"return": "thawed"}


def test_a_disk_that_does_not_become_idle_is_an_error(bench):
    disk = Disk()
    disk.under_way = 1
    bench.machine.disks = [disk]
    bench.say(b'{"execute":"guest-fsfreeze-freeze"}\n')
    bench.machine.hardware.ms += 8001
    bench.machine.alarm.callback()
    assert json.loads(bench.port.sent)["error"]["class"] == "GenericError"
    disk.write(1, b"", None)
    assert disk.written == [1]


def test_a_disk_that_is_gone_is_an_error_and_so_is_what_was_held(bench):
    class Gone(Disk):
        def write(self, sector, buffer, done):
            raise OSError(5)

        def flush(self, done):
            raise OSError(5)

    disk, other, ends = Gone(), Disk(), []
    bench.machine.disks = [disk, other]
    bench.say(b'{"execute":"guest-fsfreeze-freeze"}\n')
    disk.write(1, b"x", lambda status, buffer: ends.append((status, buffer)))
    other.write(2, b"y", None)
    bench.machine.alarm.callback()
    assert json.loads(bench.port.sent)["error"]["class"] == "GenericError"
    assert ends == [(5, b"x")] and other.written == [2]


def test_it_thaws_by_itself_and_at_the_end(bench):
    disk = Disk()
    bench.machine.disks = [disk]
    for way in (lambda: bench.machine.alarm.callback(), bench.machine.ends[0]):
        bench.say(b'{"execute":"guest-fsfreeze-freeze"}\n')
        bench.machine.alarm.callback()
        assert bench.machine.alarm.ms == 300_000
        disk.write(1, b"", None)
        way()
        assert bench.agent.commands.status({}) == "thawed"
    assert disk.written == [1, 1]


# The network.


def test_interfaces_and_their_addresses(bench):
    own = types.SimpleNamespace(address=bytes([0xFE, 0x80] + [0] * 13 + [1]), length=64)
    table = bytes([0, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 1])
    link = bytes([10, 0, 0, 0, 255, 255, 255, 0, 0, 0, 0, 0])
    four = types.SimpleNamespace(
        name="eth0",
        address=bytes([10, 0, 0, 2]),
        routes=types.SimpleNamespace(table=link + table),
    )
    six = types.SimpleNamespace(name="eth0", addresses=types.SimpleNamespace(all=[own]))
    families = [
        types.SimpleNamespace(size=4, interfaces=[four]),
        types.SimpleNamespace(size=16, interfaces=[six]),
    ]
    bench.machine.inet = types.SimpleNamespace(families=families)
    bench.machine.nics = [types.SimpleNamespace(name="eth0", mac=b"RT\0\x12\x34\x56")]
    (eth0,) = bench("guest-network-get-interfaces")["return"]
    assert eth0 == {
        "name": "eth0",
        "hardware-address": "52:54:00:12:34:56",
        "ip-addresses": [
            {"ip-address-type": "ipv4", "ip-address": "10.0.0.2", "prefix": 24},
            {"ip-address-type": "ipv6", "ip-address": "fe80::1", "prefix": 64},
        ],
    }
