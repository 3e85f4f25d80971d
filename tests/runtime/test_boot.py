"""The order of start and the orderly end, from main() to power off."""

import sys
import types

import pytest

from tests.support.metal import Asleep, Machine, PoweredOff
from tests.support.virtio import NetDevice


@pytest.fixture
def boot(monkeypatch):
    """boot(service, command_line) -> the machine's hardware, ready for main()."""

    def prepare(service, command_line=""):
        image = types.ModuleType("image")
        image.NAME, image.BUILD, image.SETTINGS = "test", "0", {"greeting": "compiled in"}
        image.service = service
        monkeypatch.setitem(sys.modules, "image", image)
        sys.modules.pop("runtime.boot", None)
        hardware = Machine()
        hardware.add_ram(0x200000, 1 << 20)
        hardware.command_line = command_line
        import runtime.boot

        return hardware, runtime.boot.main

    yield prepare
    sys.modules.pop("runtime.boot", None)


def service(start, **more):
    return types.SimpleNamespace(start=start, **more)


def test_a_service_that_stops_powers_the_machine_off(boot):
    order = []

    def start(machine):
        order.append("start")
        machine.stop()

    hardware, main = boot(service(start, stop=lambda: order.append("stop")))
    with pytest.raises(PoweredOff) as ended:
        main()
    assert ended.value.args == (0,)
    assert order == ["start", "stop"]
    assert "test stopped" in "".join(hardware.output)


def test_ctrl_c_stops_a_sleeping_machine(boot):
    hardware, main = boot(service(lambda machine: None))

    def halted():
        hardware.input.append(3)
        hardware.interrupt(4)
        return True

    hardware.halted = halted
    with pytest.raises(PoweredOff):
        main()


def test_the_service_gets_settings_devices_and_what_it_logged_is_kept(boot):
    seen = []

    def start(machine):
        seen.append((machine.nic.name, machine.settings.get("greeting"), machine.settings.get("x")))
        machine.log.debug("hidden detail")

    hardware, main = boot(service(start), "x=1 log=debug")
    NetDevice(hardware)
    with pytest.raises(Asleep):
        main()
    assert seen == [("eth0", "compiled in", "1")]
    assert "hidden detail" in "".join(hardware.output)


def test_what_was_sent_before_the_end_leaves(boot):
    def start(machine):
        packet = machine.nic.allocate()
        head = memoryview(packet.buffer).cast("H")
        head[0], head[4] = 166, 166 + 60
        machine.nic.transmit(packet)
        machine.stop()

    hardware, main = boot(service(start))
    device = NetDevice(hardware)
    with pytest.raises(PoweredOff):
        main()
    assert len(device.sent) == 1
    assert device.device_status == 0


def test_two_devices_are_two_nics(boot):
    names = []
    hardware, main = boot(service(lambda machine: names.extend(n.name for n in machine.nics)))
    NetDevice(hardware, slot=3)
    NetDevice(hardware, slot=4, modern=False)
    with pytest.raises(Asleep):
        main()
    assert names == ["eth0", "eth1"]


def test_a_bad_log_level_is_said_and_the_machine_starts(boot):
    hardware, main = boot(service(lambda machine: machine.stop()), "log=loud")
    with pytest.raises(PoweredOff):
        main()
    assert "log=loud is not one of" in "".join(hardware.output)


def test_an_exception_in_start_leaves_main(boot):
    def start(machine):
        raise KeyError("bug")

    _, main = boot(service(start))
    with pytest.raises(KeyError):
        main()


def test_a_service_may_block_in_start_and_is_unwound_by_the_end(boot):
    order = []

    def start(machine):
        machine.timers.timer(machine.stop).start(100)
        try:
            while True:
                machine.loop.block(30)
                order.append("slept")
        finally:
            order.append("unwound")

    def stop():
        order.append("stop")

    _, main = boot(service(start, stop=stop))
    with pytest.raises(PoweredOff):
        main()
    assert order == ["slept"] * 3 + ["unwound", "stop"]


def test_a_bug_while_somebody_is_blocked_leaves_main(boot):
    def start(machine):
        def fails():
            raise KeyError("bug")

        machine.loop.soon(fails)
        try:
            machine.loop.block()
        except Exception:
            raise AssertionError("not its business") from None

    _, main = boot(service(start))
    with pytest.raises(KeyError, match="bug"):
        main()
