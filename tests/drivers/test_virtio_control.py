"""The control queue of the network device, and what a stack tells the link through it."""

import contextlib

import pytest

from drivers.virtio import net as driver
from net import presence
from net.dual import Dual
from net.ip4 import igmp
from net.udp import Udp
from runtime import absence
from tests.drivers.test_virtio_net import Bench, frame
from tests.support.control import ControlDevice
from tests.support.metal import Asleep, metal

OURS = b"\x52\x54\x00\x12\x34\x56"
GROUP = b"\x01\x00\x5e\x01\x02\x03"
OTHER = b"\x33\x33\x00\x00\x00\x99"
BROADCAST = b"\xff" * 6
VARIANTS = [
    pytest.param({"modern": True}, id="modern"),
    pytest.param({"modern": True, "event_idx": False}, id="modern-flags"),
    pytest.param({"modern": False}, id="legacy"),
    pytest.param({"modern": True, "without": "offload"}, id="no-tcp"),
]


def make(without=None, **options):
    with pytest.MonkeyPatch.context() as patch:
        if without:
            parts = [name for name in driver.PARTS if not name.endswith(without)]
            patch.setattr(driver, "PARTS", parts)
        return Bench(kind=ControlDevice, ram=4 << 20, **options)


@pytest.fixture(params=VARIANTS)
def bench(request):
    return make(**request.param)


@pytest.fixture(autouse=True)
def no_absence(monkeypatch):
    """Each test has a machine of its own, with its own start."""
    monkeypatch.setattr(absence, "before", None)
    monkeypatch.setattr(absence, "timer", None)


def to(mac):
    return mac + frame(7)[6:]


def run(bench, ms=0):
    """Turn for so long; what is due later stays due."""
    end = bench.machine.timers.timer(bench.machine.stop)
    end.start(ms)
    bench.machine.loop.state[0] = 0
    with contextlib.suppress(Asleep):
        bench.machine.loop.run()


def test_without_a_word_everything_is_heard(bench):
    run(bench)
    assert bench.device.commands == []
    for mac in (OURS, GROUP, OTHER, BROADCAST, b"\x02" * 6):
        assert bench.device.deliver(to(mac))
    run(bench)
    assert len(bench.received) == 5


def test_groups_are_filtered_by_the_device(bench):
    bench.nic.set_groups([GROUP])
    run(bench, 50)
    assert [bench.device.deliver(to(mac)) for mac in (OURS, BROADCAST, GROUP)] == [True] * 3
    assert [bench.device.deliver(to(mac)) for mac in (OTHER, b"\x02" * 6)] == [False] * 2
    assert bench.device.groups == [GROUP]
    bench.nic.set_groups([GROUP, OTHER])
    run(bench, 50)
    assert bench.device.deliver(to(OTHER))
    bench.nic.set_groups(None)
    run(bench, 50)
    assert bench.device.deliver(to(b"\x02" * 6))
    assert bench.drops() == {}


def test_more_groups_than_the_table_has_are_all_heard(bench):
    macs = [b"\x33\x33\x00\x00\x01" + bytes([number]) for number in range(65)]
    bench.nic.set_groups(macs[:64])
    run(bench, 50)
    assert bench.device.groups == macs[:64]
    assert not bench.device.every_group
    bench.nic.set_groups(macs)
    run(bench, 50)
    assert bench.device.every_group
    assert not bench.device.everything
    assert bench.device.deliver(to(OTHER))


def test_a_newer_command_takes_the_place_of_one_that_waits(bench):
    bench.device.silent = True
    for number in range(100):
        bench.nic.set_groups([b"\x33\x33\x00\x00\x01" + bytes([number])])
    assert len(bench.nic.commands) <= 3
    bench.device.silent = False
    bench.device.obey()
    run(bench, 100)
    assert bench.device.groups == [b"\x33\x33\x00\x00\x01" + bytes([99])]


def test_a_refused_table_means_all_groups(bench):
    bench.device.refuse_command = (1, 0)
    bench.nic.set_groups([GROUP])
    run(bench, 50)
    assert bench.device.every_group
    assert "refuses command 1.0" in bench.log


def test_a_device_that_answers_nothing_is_left_in_peace(bench):
    bench.device.silent = True
    bench.nic.set_groups([GROUP])
    run(bench, 60_000)
    assert "answers no command" in bench.log
    halts = bench.hardware.halts
    run(bench, 600_000)
    assert bench.hardware.halts - halts < 5, "it is not asked for ever"
    assert bench.device.deliver(to(OTHER))
    run(bench)
    assert len(bench.received) == 1


def test_after_a_reset_the_device_is_told_again(bench):
    bench.nic.set_groups([GROUP])
    run(bench, 50)
    bench.device.device_status |= 64
    bench.device.raise_interrupt(2)
    run(bench, 50)
    assert bench.device.groups == [GROUP]
    assert not bench.device.everything
    assert bench.nic.link


def test_an_announcement_that_is_asked_for_is_made_and_acknowledged(bench):
    told = []
    bench.nic.on_announce = lambda: told.append(bench.device.config[6])
    run(bench)
    for times in (1, 2, 3):
        bench.device.announce()
        run(bench, 20)
        assert told == [3] * times
        assert bench.device.config[6] == 1
        assert bench.device.commands[-1] == (3, 0, b"")


def test_without_a_control_queue_the_driver_is_as_before():
    bench = Bench()
    bench.nic.set_groups([GROUP])
    bench.run()
    assert bench.device.deliver(to(OTHER))


def test_a_device_without_the_queue_it_offers_is_an_error_not_a_crash():
    bench = make(size=0)
    assert bench.machine.nics == []


# With a stack on it.


@pytest.fixture
def stack():
    bench = make(modern=True)
    bench.machine.settings.values.update(
        {"address": "10.0.0.2/24", "address6": "2001:db8::2/64", "secret6": "00" * 16}
    )
    bench.inet = Dual(bench.machine, udp=Udp)
    run(bench, 5_000)
    bench.device.sent.clear()
    bench.device.commands.clear()
    return bench


def kinds(bench):
    """What has been sent: ARP, neighbour advertisements, MLD reports, IGMP reports; to whom."""
    found = []
    for data in bench.device.sent:
        if data[12:14] == b"\x08\x06":
            found.append(("arp", data[28:32], data[38:42]))
        elif data[12:14] == b"\x86\xdd" and data[54] == 136:
            found.append(("advertisement", data[62:78], data[58]))
        elif data[12:14] == b"\x86\xdd" and data[20] == 0 and data[62] == 143:
            found.append(("mld",))
        elif data[23] == 2:
            found.append(("igmp",))
    bench.device.sent.clear()
    return found


def test_every_address_is_announced_after_a_move(stack):
    stack.device.announce()
    run(stack)
    found = kinds(stack)
    ours = stack.inet.address
    assert ("arp", ours, ours) in found
    for address in stack.inet.addresses6:
        # RFC 4861 7.2.6: not solicited, overriding what the neighbours know.
        assert ("advertisement", address, 0x20) in found
    assert ("mld",) in found
    assert len(stack.inet.addresses6) == 2
    assert stack.device.commands == [(3, 0, b"")]


def test_tentative_and_missing_addresses_are_not_announced():
    bench = make(modern=True)
    bench.machine.settings.values.update({"address6": "2001:db8::2/64", "secret6": "00" * 16})
    bench.inet = Dual(bench.machine, udp=Udp)
    run(bench)
    bench.device.sent.clear()
    bench.device.announce()
    run(bench)
    assert [kind for kind, *_ in kinds(bench)] == ["mld"]


def test_groups_of_both_families_reach_the_filter(stack):
    assert not stack.device.everything
    solicited = {b"\x33\x33\xff" + address[13:] for address in stack.inet.addresses6}
    all_nodes = b"\x33\x33\x00\x00\x00\x01"
    assert set(stack.device.groups) == solicited | {all_nodes}
    igmp.use(stack.inet)
    group, group6 = b"\xe0\x00\x00\xfb", b"\xff\x02" + bytes(13) + b"\xfb"
    stack.inet.join(group)
    stack.inet.join(group6)
    run(stack, 50)
    both = {b"\x01\x00\x5e\x00\x00\xfb", b"\x33\x33\x00\x00\x00\xfb"}
    systems = b"\x01\x00\x5e\x00\x00\x01"
    assert set(stack.device.groups) == solicited | both | {all_nodes, systems}
    stack.inet.leave(group)
    stack.inet.leave(group6)
    run(stack, 50)
    assert set(stack.device.groups) == solicited | {all_nodes, systems}
    stack.device.announce()
    stack.inet.join(group)
    run(stack, 50)
    assert ("igmp",) in kinds(stack)


def test_the_parts_of_an_interface_are_all_heard_of(stack):
    parts = stack.inet.interfaces[0].parts
    assert isinstance(parts, presence.Presence)
    assert len(list(parts)) == 2


def test_who_comes_back_after_hours_asks_anew(stack, monkeypatch):
    """The clock of the machine stood still, the one on the battery did not."""
    routers = stack.inet.first6.routers
    ends = stack.inet.first6.seconds.end(1000)
    told = []
    stack.inet.first.configuration = type("Lease", (), {"away": told.append})
    rtc = metal.time
    monkeypatch.setattr(metal, "time", lambda: rtc() + 7200, raising=False)
    stack.device.announce()
    run(stack)
    assert told == [7200]
    assert "back after 7200 s away" in stack.log
    assert stack.inet.first6.seconds.now() > ends
    assert routers.asking.active, "routers are asked whether their prefixes are still good"
    stack.device.announce()
    run(stack)
    assert told == [7200], "it was told once"


def test_a_clock_that_is_read_late_is_compared_again(stack, monkeypatch):
    stack.device.announce()
    run(stack)
    rtc = metal.time
    monkeypatch.setattr(metal, "time", lambda: rtc() + 60, raising=False)
    run(stack, 2_000)
    assert "back after 60 s away" in stack.log


def test_who_was_moved_while_it_ran_was_not_away(stack):
    stack.device.announce()
    run(stack)
    assert "away" not in stack.log
