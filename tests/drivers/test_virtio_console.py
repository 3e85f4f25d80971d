"""The ports of a virtio console against a device made of Python."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.virtio import console
from runtime import pci
from runtime.counters import Registry
from runtime.dma import Arena
from runtime.log import DEBUG, Log
from runtime.loop import Loop
from runtime.machine import Machine
from runtime.settings import Settings
from runtime.timers import Timers
from tests.support.metal import Asleep, metal
from tests.support.metal import Machine as Hardware
from tests.support.virtio_serial import ADD, NAME, OPEN, REMOVE, SerialDevice

A, B = "org.example.a", "org.example.b"


class User:
    def __init__(self):
        self.ups, self.data, self.ports, self.writables = [], b"", [], 0
        self.enough = False

    def opened(self, port, up):
        self.ports.append(port)
        self.ups.append(up)

    def received(self, port, data):
        self.data += data
        return not self.enough

    def writable(self, port):
        self.writables += 1


class Bench:
    def __init__(self, *served, names=None, setting="", **options):
        console.users.clear()
        console.ports.clear()
        self.users = {name: User() for name in served}
        for name, user in self.users.items():
            console.serve(name, user)
        self.hardware = Hardware()
        self.hardware.add_ram(0x200000, 1 << 20)
        names = {1: A, 2: B} if names is None else names
        self.device = SerialDevice(self.hardware, names, **options)
        timers = Timers(metal.ticks_ms)
        self.loop = Loop(metal, timers, lambda: None)
        log = Log(metal.write, metal.uptime_ms, DEBUG)
        self.machine = Machine(
            log, Settings(setting), Registry(), timers, self.loop, None, metal.uptime_ms
        )
        self.channel = console.probe(self.machine, pci.scan()[0], Arena(*metal.arena()))
        if self.channel:
            self.loop.add(self.channel)
            self.run()

    @property
    def output(self):
        return "".join(self.hardware.output)

    def run(self):
        with pytest.raises(Asleep):
            self.loop.run()


@pytest.fixture(autouse=True)
def without_the_agent(monkeypatch):
    """The parts of an instance have tests of their own."""
    monkeypatch.setattr(console, "USERS", ())
    yield
    console.users.clear()
    console.ports.clear()


@pytest.mark.parametrize("modern", [True, False])
@pytest.mark.parametrize("event_idx", [True, False])
def test_a_port_that_somebody_has_is_opened_and_the_other_is_not(modern, event_idx):
    bench = Bench(A, modern=modern, event_idx=event_idx)
    assert bench.device.opened == {1}
    user = bench.users[A]
    assert user.ups == [], "the host does not listen yet"
    bench.device.connect(1)
    bench.run()
    assert user.ups == [True]
    assert user.ports[0].write(b"hello") == 5
    bench.channel.flush()
    assert bench.device.written[1] == b"hello"
    assert bench.device.send(1, b"question") == 8
    bench.run()
    assert user.data == b"question"
    bench.device.connect(1, False)
    bench.run()
    assert user.ups == [True, False]
    assert bench.machine.counters.drops() == {}


def test_who_comes_later_has_the_port_then():
    bench = Bench()
    bench.device.connect(2)
    bench.run()
    assert bench.device.opened == set()
    user = User()
    console.serve(B, user)
    bench.channel.flush()
    assert bench.device.opened == {2}
    assert user.ups == [True]


def test_what_nobody_listens_to_is_lost_and_counted():
    bench = Bench(A)
    (port,) = [port for port in console.ports if port.name == A]
    assert port.write(b"x" * 100) == 100
    bench.channel.flush()
    assert bench.device.written[1] == b""
    assert bench.machine.counters.drops() == {"console.lost": 1}


def test_a_slow_host_gets_all_in_order():
    bench = Bench(A)
    bench.device.connect(1)
    bench.run()
    bench.device.full = True
    user = bench.users[A]
    data = bytes(i * 7 & 0xFF for i in range(10_000))
    taken = user.ports[0].write(data)
    assert taken == console.TRANSMITS * console.BYTES
    bench.run()
    assert user.writables == 0
    while taken < len(data):
        bench.device.drain(1)
        bench.run()
        bench.device.full = True
        taken += user.ports[0].write(data[taken:])
        bench.channel.flush()
    bench.device.drain(1)
    assert bench.device.written[1] == data
    assert user.writables


def test_who_has_enough_is_left_alone_until_he_asks():
    bench = Bench(A)
    bench.device.connect(1)
    bench.run()
    user = bench.users[A]
    user.enough = True
    for byte in b"ab":
        assert bench.device.send(1, bytes([byte])) == 1
        bench.run()
    assert bench.device.send(1, b"c") == 0, "no buffers: the host has to wait"
    user.enough = False
    user.ports[0].go_on()
    assert bench.device.send(1, b"c") == 1
    bench.run()
    assert user.data == b"abc"


def test_all_ports_at_once_find_a_buffer_each_and_those_too_many_are_refused():
    bench = Bench(names={number: f"p{number}" for number in range(30)})
    ready = {port: value for port, event, value in bench.device.messages if event == 3}
    assert ready == {number: int(number < console.PORTS) for number in range(30)}
    assert "port 4 is one too many" in bench.output


def test_a_port_may_go_and_come_back():
    bench = Bench(A)
    bench.device.connect(1)
    bench.device.control(1, REMOVE)
    bench.run()
    assert bench.users[A].ups == [True, False]
    bench.device.control(1, ADD)
    bench.run()
    bench.device.connect(1)
    bench.run()
    assert bench.users[A].ups == [True, False, True]
    bench.device.send(1, b"again")
    bench.run()
    assert bench.users[A].data == b"again"


def test_a_device_that_asks_for_a_reset_is_initialised_anew():
    bench = Bench(A)
    bench.device.connect(1)
    bench.run()
    bench.users[A].ports[0].write(b"lost")
    bench.device.device_status |= 64
    bench.device.raise_interrupt(2)
    bench.run()
    assert bench.users[A].ups == [True, False]
    assert bench.device.opened == {1}
    bench.device.connect(1)
    bench.device.send(1, b"hello")
    bench.run()
    assert bench.users[A].data == b"hello"


def test_who_waits_to_write_when_the_device_is_reset_has_all_buffers_afterwards():
    bench = Bench(A)
    bench.device.connect(1)
    bench.run()
    user = bench.users[A]
    user.writable = lambda port: port.write(b"more")
    bench.device.full = True
    port = user.ports[0]
    assert port.write(bytes(5000)) < 5000
    bench.run()
    bench.device.full = False
    bench.device.device_status |= 64
    bench.device.raise_interrupt(2)
    bench.run()
    assert port.output.free() == port.output.count


def test_a_host_that_asks_and_does_not_listen_takes_no_memory():
    bench = Bench(A)
    it = bench.channel.changed.__self__
    for _ in range(1000):
        it.say(9, 3, 0)
    assert len(it.waiting) == console.CONTROLS
    assert bench.machine.counters()["console.strange"] > 900


def test_a_device_without_named_ports_is_left_alone():
    bench = Bench(multiport=False)
    assert bench.channel is None
    assert "it has no named ports" in bench.output


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, 1, 2, 3, 77, 0xFFFFFFFF]),
            st.integers(0, 9) | st.just(0xFFFF),
            st.sampled_from([0, 1, 0xFFFF]),
            st.binary(max_size=80),
        ),
        max_size=40,
    )
)
def test_no_control_message_does_harm(messages):
    bench = Bench(A)
    bench.device.names = dict.fromkeys(range(4), A)
    for message in messages:
        bench.device.control(*message)
        bench.run()
    bench.device.control(1, ADD)
    bench.device.control(1, NAME, 1, A.encode())
    bench.device.control(1, OPEN, 1)
    bench.run()
    before = bench.users[A].data
    assert bench.device.send(1, b"x") == 1
    bench.run()
    assert bench.users[A].data == before + b"x"
