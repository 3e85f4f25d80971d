"""The virtio-net driver against a device made of Python, on every transport it has."""

import pytest

from drivers.virtio import device, net, virtqueue
from drivers.virtio.net import offload, receive, transmit, urgent
from net import packet
from runtime import pci
from runtime.counters import Registry
from runtime.dma import Arena
from runtime.entropy import Random
from runtime.log import DEBUG, Log
from runtime.loop import Loop
from runtime.machine import Machine
from runtime.settings import Settings
from runtime.timers import Timers
from tests.support.metal import Asleep, metal
from tests.support.metal import Machine as Hardware
from tests.support.virtio import NetDevice

VARIANTS = [
    # "plain": an image without TCP has no offload.py.
    pytest.param({"plain": True, "modern": True}, id="plain-modern"),
    pytest.param({"plain": True, "modern": False, "event_idx": False}, id="plain-legacy-flags"),
    pytest.param({"modern": True, "event_idx": True}, id="modern"),
    pytest.param({"modern": True, "event_idx": False}, id="modern-flags"),
    pytest.param({"modern": False, "event_idx": True}, id="legacy"),
    pytest.param({"modern": False, "event_idx": False}, id="legacy-flags"),
    pytest.param(
        {"modern": False, "event_idx": True, "any_layout": False}, id="legacy-split-header"
    ),
]


class Bench:
    """A machine with one network device, its driver and a loop."""

    def __init__(self, ram=1 << 20, command_line="", plain=False, kind=NetDevice, **device):
        self.hardware = Hardware()
        self.hardware.add_ram(0x200000, ram)
        self.device = kind(self.hardware, **device)
        timers = Timers(metal.ticks_ms)
        loop = Loop(metal, timers, lambda: None)
        log = Log(metal.write, metal.uptime_ms, DEBUG)
        self.machine = Machine(
            log, Settings(command_line), Registry(), timers, loop, Random(b"7"), metal.uptime_ms
        )
        arena = Arena(*metal.arena())
        for function in pci.scan():
            with pytest.MonkeyPatch.context() as patch:
                if plain:
                    patch.setattr(net, "PARTS", ())
                net.probe(self.machine, function, arena)
        for nic in self.machine.nics:
            loop.add(nic)
        self.received = []
        if self.machine.nics:
            self.nic = self.machine.nic
            self.nic.receive = self.keep

    def keep(self, packet):
        head = memoryview(packet.buffer).cast("H")
        self.received.append(bytes(packet.buffer[head[0] : head[4]]))

    def echo(self, packet):
        self.keep(packet)
        self.send(self.received[-1])

    def send(self, frame):
        packet = self.nic.allocate()
        if packet:
            self.fill(packet, frame)
            self.nic.transmit(packet)
        return packet

    def fill(self, packet, frame):
        head = memoryview(packet.buffer).cast("H")
        head[0] = 166
        head[4] = 166 + len(frame)
        packet.buffer[166 : 166 + len(frame)] = frame

    def run(self):
        """Turn until the machine would sleep for ever."""
        with pytest.raises(Asleep):
            self.machine.loop.run()

    def drops(self):
        return self.machine.counters.drops()

    def count(self, name):
        return self.nic.counters[name]

    @property
    def log(self):
        return "".join(self.hardware.output)


@pytest.fixture(params=VARIANTS)
def bench(request):
    return Bench(**request.param)


def frame(number, length=60):
    return number.to_bytes(4, "big") * (length // 4)


def test_initialisation_follows_the_eight_steps(bench):
    # 3.1.1; the firmware had left the device running.
    modern = [0, 1, 3, 11, 15]
    assert bench.device.steps == (modern if bench.device.modern else [0, 1, 3, 7])
    assert bench.nic.mac == b"\x52\x54\x00\x12\x34\x56"
    assert bench.nic.link
    assert bench.nic.mtu == 1500


def test_frames_rise_and_fall(bench):
    bench.nic.receive = bench.echo
    bench.run()
    for number in range(1000):
        assert bench.device.deliver(frame(number))
        bench.run()
    assert bench.received == bench.device.sent == [frame(n) for n in range(1000)]
    assert bench.drops() == {}
    assert bench.count("received") == bench.count("sent") == 1000


def test_one_isr_read_and_one_doorbell_per_packet(bench):
    bench.nic.receive = bench.echo
    bench.run()
    before = bench.device.isr_reads, bench.device.doorbells[1]
    for number in range(100):
        bench.device.deliver(frame(number))
        bench.run()
    assert bench.device.isr_reads - before[0] == 100
    assert bench.device.doorbells[1] - before[1] == 100
    # Re-posted buffers need no doorbell, except one when the event index comes round.
    if bench.device.has_event_idx:
        assert bench.count("receive_doorbells") <= 2


def test_a_burst_costs_one_doorbell(bench):
    bench.nic.receive = bench.echo
    bench.run()
    before = bench.device.doorbells[1]
    for number in range(20):
        bench.device.deliver(frame(number))
    bench.run()
    assert bench.device.sent == [frame(n) for n in range(20)]
    assert bench.device.doorbells[1] == before + 1


def test_flood_beyond_the_ring_drops_at_the_device_and_never_stalls(bench):
    bench.nic.receive = bench.echo
    bench.run()
    accepted = 0
    for burst in range(50):
        for number in range(300):
            accepted += bench.device.deliver(frame(burst * 300 + number))
        bench.run()
    assert 64 * 50 <= accepted < 300 * 50
    assert len(bench.received) == len(bench.device.sent) == accepted
    # The device had run out and asked for a doorbell; it must have got it.
    assert not bench.device.used_up
    assert bench.drops() == {}


def test_transmit_packets_are_made_when_they_are_wanted(bench):
    """And there is always a free one, as `starved` looks for it; the rest a second later."""
    pool = bench.nic.pool
    assert (pool.made, pool.free) == (1, 64)
    for number in range(1, 40):
        assert bench.nic.allocate()
        assert (pool.made, pool.free, pool.stack[0]) == (number + 1, 64 - number, 1)
    bench.nic.make_all()
    assert (pool.made, pool.free, pool.stack[0]) == (64, 25, 25)
    assert len({bench.nic.allocate().address for _ in range(25)}) == 25
    assert bench.nic.allocate() is None


def test_a_packet_for_which_there_is_no_memory_is_made_later(bench, monkeypatch):
    pool = bench.nic.pool
    with monkeypatch.context() as patch:
        patch.setattr(pool, "make", lambda index: bytes(1 << 60))
        assert bench.nic.allocate()
        assert bench.nic.allocate() is None
    assert bench.nic.allocate()
    assert bench.drops() == {"eth0.no_buffer": 1}


def test_transmit_packets_run_out_and_come_back(bench):
    bench.run()
    bench.device.polling = True
    packets = [bench.send(frame(number)) for number in range(100)]
    assert sum(packet is not None for packet in packets) == 64
    assert bench.drops() == {"eth0.no_buffer": 36}
    bench.device.polling = False
    bench.device.transmit_all()
    assert bench.nic.reclaim()
    assert bench.nic.pool.free == 64
    for number in range(1000):
        assert bench.send(frame(number))
        bench.nic.flush()
    assert len(bench.device.sent) == 64 + 1000


def test_frames_that_could_not_be_answered_wait_with_the_device(bench):
    bench.nic.receive = bench.echo
    bench.run()
    bench.device.polling = True  # and it does not get round to sending
    accepted = sum(bench.device.deliver(frame(number)) for number in range(200))
    bench.run()
    while (more := sum(bench.device.deliver(frame(accepted + n)) for n in range(200))) > 0:
        accepted += more
        bench.run()
    # A quarter of the packets is not for answers.
    assert len(bench.received) == 48
    assert accepted == 112
    assert bench.drops() == {}
    assert all(bench.send(frame(n)) for n in range(112, 128)) and not bench.send(frame(0))
    assert bench.drops() == {"eth0.no_buffer": 1}
    # It sends a few: nobody needs to be woken, if EVENT_IDX can say so.
    assert bench.device.transmit_all(10) == 10
    bench.run()
    assert len(bench.received) == 48
    bench.device.polling = False
    while bench.device.transmit_all():
        bench.run()
    assert bench.received == [frame(n) for n in range(112)]
    assert sorted(bench.device.sent) == [frame(n) for n in range(128)]
    assert bench.drops() == {"eth0.no_buffer": 1}
    # And no transmit interrupt comes after that.
    bench.run()
    turns = bench.count("turns")
    assert bench.send(frame(1))
    bench.nic.flush()
    bench.run()
    assert bench.count("turns") == turns


def test_the_longest_frame_passes_and_a_longer_one_is_counted(bench):
    bench.nic.receive = bench.echo
    bench.run()
    bench.device.deliver(frame(1, 1512))
    bench.run()
    assert bench.device.sent == [frame(1, 1512)]
    bench.send(frame(1, 1516))
    bench.run()
    assert bench.drops() == {"eth0.oversize": 1}
    assert bench.nic.reclaim()


def test_lengths_from_the_device_are_not_believed(bench):
    bench.run()
    device, queue = bench.device, bench.device.queues[0]
    for length in (0, 5, device.header, device.header + 13, 4000, 0xFFFFFFFF):
        head, _ = device.take(queue)
        device.give_back(queue, head, length)
        device.signal(queue)
        bench.run()
    assert bench.received == []
    assert bench.drops() == {"eth0.bad_length": 6}
    for number in range(200):
        assert device.deliver(frame(number))
        bench.run()


@pytest.mark.parametrize("id", [999, 0x7FFFFFFF, 0xFFFFFFFF])
def test_ids_from_the_device_are_not_believed(bench, id):
    bench.run()
    for queue in bench.device.queues:
        bench.device.give_back(queue, id, 100)
    bench.hardware.interrupt(11)
    bench.run()
    bench.nic.allocate()
    assert bench.drops() == {"eth0.bad_id": 2}


def test_link_goes_down_and_up(bench):
    told = []
    bench.nic.on_link = told.append
    bench.run()
    bench.device.set_link(False)
    bench.run()
    assert not bench.nic.link
    bench.send(frame(1))
    assert bench.drops() == {"eth0.link_down": 1}
    bench.device.set_link(True)
    bench.run()
    assert told == [False, True]
    assert bench.send(frame(2))
    bench.run()
    assert bench.device.sent == [frame(2)]
    assert "eth0: link is down" in bench.log


def test_packet_of_another_pool_is_counted(bench):
    from net.packet import Pool

    other = Pool("other", 1, memory=bytearray(2048), address=0x200000)
    packet = other.allocate()
    bench.fill(packet, frame(1))
    bench.nic.transmit(packet)
    assert bench.drops() == {"eth0.foreign": 1}
    assert other.free == 1


def test_frames_that_nobody_wants_are_counted(bench):
    bench.nic.receive = bench.nic.unclaimed
    bench.device.deliver(frame(1))
    bench.run()
    assert bench.drops() == {"eth0.unclaimed": 1}


def test_stop_waits_for_what_was_sent_and_resets(bench):
    bench.run()
    bench.send(frame(1))
    bench.nic.stop(100)
    assert bench.device.sent == [frame(1)]
    assert bench.device.device_status == 0
    assert not bench.device.queues[0].enabled


def test_stop_goes_on_receiving_while_a_packet_waits_for_its_neighbour(bench):
    bench.run()
    waiting = bench.nic.allocate()
    bench.fill(waiting, frame(1))
    bench.nic.receive = lambda packet: bench.nic.transmit(waiting)
    bench.device.deliver(frame(2))
    bench.nic.stop(100)
    assert bench.device.sent == [frame(1)]


def hurry(bench, entries):
    """As if so many frames more had gone through both rings, whose sizes divide that."""
    cells = memoryview(bench.nic.cells).cast("I")

    def on(index):
        return (index + entries) & 0xFFFF

    for (window, *_), queue in zip(bench.nic.windows, bench.device.queues, strict=True):
        for word in (virtqueue.INDEX, virtqueue.SEEN, virtqueue.KICKED, virtqueue.FENCED):
            cells[window + word] = on(cells[window + word])
        queue.taken, queue.index, queue.signalled = map(
            on, (queue.taken, queue.index, queue.signalled)
        )
        places = [queue.available + 2, queue.used + 2]
        if bench.device.has_event_idx:
            places += [queue.used + 4 + 8 * queue.size]
            # That of what is sent stands still: an interrupt in 2^16 frames.
            places += [queue.available + 4 + 2 * queue.size] * (window != transmit._TX)
        for place in places:
            bench.device.put(place, on(bench.device.word(place)))


def test_indices_wrap(bench):
    """Past 2^15, where a sign would be, and past 2^16, where they begin anew."""
    bench.nic.receive = bench.echo
    bench.run()
    total = 0
    for entries in (0, 0x7400, 0x7600):
        hurry(bench, entries)
        for burst in (1, 7, 20, 64) * 24:
            for _ in range(burst):
                assert bench.device.deliver(b"\x01" * 14)
            bench.run()
            total += burst
    assert bench.device.queues[0].index == total + 0x7400 + 0x7600 - 0x10000
    assert bench.count("received") == bench.count("sent") == total
    assert bench.drops() == {}


class Unplugged(NetDevice):
    def reset(self):
        super().reset()
        self.config[6] = 0


def test_a_link_that_is_down_at_the_start_is_said():
    bench = Bench(kind=Unplugged)
    assert bench.log.count("eth0: link is down") == 1
    bench.device.set_link(True)
    bench.run()
    assert bench.log.count("eth0: link is") == 2 and bench.nic.link


@pytest.mark.parametrize("modern", [True, False])
def test_small_memory_gets_fewer_buffers(modern):
    bench = Bench(ram=160 << 10, modern=modern, size=256)
    assert 16 <= bench.nic.receive_pool.count < 64
    bench.nic.receive = bench.echo
    for number in range(500):
        assert bench.device.deliver(frame(number))
        bench.run()
    assert len(bench.device.sent) == 500
    # A modern queue shrinks to what is needed, 4.1.5.1.3.
    assert bench.device.queues[0].size == (32 if modern else 256)


def test_a_small_ring_limits_the_buffers():
    bench = Bench(modern=True, size=16)
    assert bench.nic.receive_pool.count == 16


def test_no_memory_is_said_and_the_machine_lives():
    bench = Bench(ram=8 << 10)
    assert bench.machine.nics == []
    assert "error: eth0: virtio-net at 00:03.0" in bench.log
    with pytest.raises(OSError, match="no network device"):
        _ = bench.machine.nic


def test_a_device_that_refuses_the_features_is_marked_failed():
    bench = Bench(modern=True, refuse=True)
    assert bench.machine.nics == []
    assert bench.device.device_status & 128
    assert "refuses the features" in bench.log


def test_a_device_that_does_not_reset_is_given_up():
    bench = Bench(modern=True, reset_takes=10**6)
    assert bench.machine.nics == []
    assert "does not reset" in bench.log


def test_no_queue_is_an_error_not_a_crash():
    bench = Bench(modern=True, size=0)
    assert bench.machine.nics == []
    assert "queue 0 has size 0" in bench.log
    assert bench.device.device_status & 128


def test_without_a_mac_a_local_one_is_made_up():
    mac = Bench(mac=None).nic.mac
    assert mac[0] & 3 == 2
    assert len(mac) == 6


def test_mtu_of_the_device_is_kept():
    bench = Bench(mtu=1400)
    assert bench.nic.mtu == 1400
    bench.run()
    bench.send(frame(0, 1416))
    assert bench.drops() == {"eth0.oversize": 1}


@pytest.mark.parametrize(
    ("says", "is_"), [(0, 1500), (67, 1500), (68, 68), (1450, 1450), (9000, 1500)]
)
def test_5_1_4_1_an_mtu_that_cannot_be_is_ignored(says, is_):
    assert Bench(mtu=says).nic.mtu == is_


def test_without_link_status_the_link_is_up():
    assert Bench(status=False).nic.link


def test_the_transport_can_be_insisted_on():
    assert Bench(modern=False, command_line="virtio=legacy").nic.transport.name == "legacy"
    assert Bench(modern=True, command_line="virtio=legacy").machine.nics == []
    assert Bench(modern=False, command_line="virtio=modern").machine.nics == []


def test_a_device_that_asks_for_a_reset_is_initialised_anew(bench):
    told = []
    bench.nic.on_link = told.append
    bench.nic.receive = bench.echo
    bench.run()
    held = bench.nic.allocate()  # by somebody above: stays his
    bench.device.polling = True
    for number in range(10):
        bench.send(frame(number))
    bench.device.transmit_all(3)
    bench.device.device_status |= 64
    bench.device.raise_interrupt(2)
    bench.run()
    assert told == [False, True]
    assert bench.nic.link
    assert "asks for a reset" in bench.log
    assert bench.device.device_status == (15 if bench.device.modern else 7)
    assert bench.nic.pool.free == 63
    bench.device.polling = False
    bench.device.sent.clear()
    for number in range(200):
        assert bench.device.deliver(frame(number))
        bench.run()
    assert bench.device.sent == [frame(n) for n in range(200)]
    bench.fill(held, frame(7))
    bench.nic.transmit(held)
    bench.run()
    assert bench.nic.reclaim()
    assert bench.nic.pool.free == 64


def test_a_device_that_fails_again_and_again_is_left_alone(bench):
    bench.run()
    for _ in range(20):
        bench.device.device_status |= 64
        bench.device.raise_interrupt(2)
        bench.run()
    assert not bench.nic.link
    assert bench.device.steps.count(0) == 1 + device.RECOVERIES


def test_the_drivers_constants_are_those_of_their_owners():
    # const() works within a module; each repeats what it needs.
    places = {}
    for module in (net, receive, transmit, offload, urgent):
        for name, value in vars(module).items():
            if name.startswith("_") and isinstance(value, int):
                places.setdefault(name, set()).add(value)
    assert {name for name, values in places.items() if len(values) > 1} == set()
    its = {name: values.pop() for name, values in places.items()}
    names = ["INDEX", "SEEN", "KICKED", "FENCED", "MASK", "DESCRIPTORS", "AVAILABLE", "USED"]
    names += ["USED_EVENT", "AVAILABLE_EVENT", "NOTIFY", "NUMBER", "SHIFT", "BUFFERS", "COUNT"]
    for name in [*names, "NEXT", "WRITE", "NO_INTERRUPT", "NO_NOTIFY"]:
        assert its["_" + name] == getattr(virtqueue, name), name
    assert its["_CONFIG_INTERRUPT"] == device.CONFIG_INTERRUPT
    for name in ("FRAME", "BODY", "SIZE", "CHECKED", "PARTIAL", "IP6", "FREE", "FLAGS"):
        assert its["_" + name] == getattr(packet, name), name
    assert its["_SEGMENT"] == packet.OUT_SEGMENT
    assert 1 << its["_LOG2_SIZE"] == packet.SIZE
    for name in ("LINK", "PAYLOAD", "END", "FLAGS", "PROTOCOL"):
        assert its[f"_{name}_AT"] == getattr(packet, name) >> 1, name
    assert its["_PIECES_AT"] == packet.PIECE_COUNT >> 1
    assert its["_MSS_AT16"] == packet.MSS >> 1
    for name in ("TAIL", "MSS", "HOPS", "PIECE"):
        assert its[f"_{name}_AT"] == getattr(packet, name) >> 2, name
    # The counters come first, then the state; the windows do not overlap.
    counted = [its["_" + name.upper()] for name in net.COUNTS[:2] + net.COUNTS[4:] + net.DROPS]
    assert counted == [0, 1, *range(4, len(net.COUNTS + net.DROPS))]
    assert its["_DOORBELLS"] == 2
    assert its["_EVENT"] >= len(net.COUNTS + net.DROPS)
    assert its["_URGENT"] < its["_RX"]
    edges = [its[name] for name in ("_RX", "_TX", "_KEEP", "_CELLS")]
    assert edges == list(range(its["_RX"], its["_CELLS"] + 1, virtqueue.WINDOW))
