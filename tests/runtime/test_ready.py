"""The readiness marker: when it is said, and what it says."""

from runtime.ready import WAITS_MS, Readiness
from runtime.settings import Settings
from tests.support.timer import Timer
from tests.support.vm import READY

ADDRESSES = ["10.0.0.2", "fe80::1"]


class Stack:
    def __init__(self, *addresses):
        self.found, self.waiting = list(addresses), []

    def address_texts(self):
        return self.found

    def when_configured(self, callback):
        self.waiting.append(callback)
        if self.found:
            callback(self)


class Machine:
    """What Readiness knows of one."""

    def __init__(self, inet=None):
        self.inet, self.ready, self.lines = inet, False, []
        self.timers = self.log = self
        self.settings = Settings("log=debug adress=10.0.0.2/24", {"greeting": "hello"})
        self.settings.get("log")

    def timer(self, callback):
        self.alarm = Timer(callback)
        return self.alarm

    def info(self, text, *values):
        self.lines.append(text % values)

    def warning(self, text, *values):
        self.warnings = getattr(self, "warnings", [])
        self.warnings.append(text % values)


def test_without_a_network_it_is_said_when_start_has_returned():
    machine = Machine()
    Readiness(machine, "hello").started()
    assert machine.lines == ["ready: hello"]
    assert machine.alarm.ms is None


def test_with_a_stack_it_waits_for_an_address_and_is_said_once():
    machine = Machine(Stack())
    Readiness(machine, "dns").started()
    assert machine.lines == []
    machine.inet.found += ADDRESSES
    for _ in range(3):
        for callback in machine.inet.waiting:
            callback(machine.inet)
    assert machine.lines == ["ready: dns 10.0.0.2 fe80::1"]
    assert machine.ready


def test_settings_that_nobody_has_asked_for_are_named_once():
    """A mistyped one; not those of the image, which the build has looked at."""
    machine = Machine()
    ready = Readiness(machine, "hello")
    ready.started()
    ready.started()
    assert machine.warnings == ["settings that nobody has asked for: adress"]
    machine = Machine()
    machine.settings.get("adress")
    Readiness(machine, "hello").started()
    assert not hasattr(machine, "warnings")


def test_a_start_that_serves_and_does_not_return_is_ready_once_it_has_an_address():
    machine = Machine()
    Readiness(machine, "web")
    machine.alarm.fire()
    assert (machine.lines, machine.alarm.ms) == ([], WAITS_MS), "no stack: maybe it makes one later"
    machine.inet = Stack(*ADDRESSES)
    machine.alarm.fire()
    assert machine.lines == ["ready: web 10.0.0.2 fe80::1"]


def test_the_line_is_what_others_wait_for():
    for text in ("[    0.031] ready: dns 10.0.2.15 fe80::1", "[12345.678] ready: hello"):
        assert READY.search(f"[    0.000] x\n{text}\n")
