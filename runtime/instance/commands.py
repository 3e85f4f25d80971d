"""What the guest agent can do: a method for each command, from its arguments to its answer.

QEMU Guest Agent Protocol Reference; the members of the answers are those of the reference.  A
command that cannot be raises ValueError, with a sentence.  What is always the same stands in the
table itself.

Frozen: what is written to disks waits; what was under way has been finished and flushed.  It ends
by itself after THAW_MS, as who froze it may be gone.
Above: agent.py.  Below: runtime/clock.py, machine.disks, the stack.
Left out: what needs processes, users or files; statistics of interfaces, of which we do not count
all that belongs there.
"""

import metal
from image import NAME
from micropython import const

from net.address import length, text
from runtime import absence
from runtime.clock import clock_of

VERSION = "7.2"  # of the reference
THAW_MS = const(300_000)
FREEZE_MS = const(8_000)
LOOK_MS = const(5)
EIO = const(5)
MILLION = const(1_000_000)
LATEST = 4_102_444_800 * MILLION  # the year 2100
WRITES = ("write", "discard", "write_zeroes")
NOWHERE = b"\x00\x00\x00\x00"


LATER = None  # an answer that comes by a call of `later`
SILENT = False  # or never


class Commands:
    """`later(value, error)` is called with the answers that take their time."""

    def __init__(self, machine, later):
        self.machine = machine
        self.later = later
        self.frozen = False
        self.held = []  # writes: (method, arguments)
        self.timer = machine.timers.timer(self.look)
        self.until = 0
        self.busy = 0  # flushes under way
        self.failed = 0
        machine.ends.append(self.melt)
        self.table = {
            "guest-sync": self.sync,
            "guest-sync-delimited": self.sync,
            "guest-ping": {},
            "guest-info": self.info,
            "guest-shutdown": self.shutdown,
            "guest-get-time": self.get_time,
            "guest-set-time": self.set_time,
            "guest-get-host-name": self.host_name,
            "guest-get-osinfo": {
                "id": "importos",
                "name": "ImportOS",
                "pretty-name": "ImportOS: " + NAME,
                "variant": NAME,
                "kernel-version": "build " + metal.build_id,
                "machine": "i686",
            },
            "guest-get-timezone": {"zone": "UTC", "offset": 0},
            "guest-get-users": [],
            "guest-get-vcpus": [{"logical-id": 0, "online": True, "can-offline": False}],
            "guest-get-fsinfo": [],
            "guest-network-get-interfaces": self.interfaces,
            "guest-fsfreeze-status": self.status,
            "guest-fsfreeze-freeze": self.freeze,
            "guest-fsfreeze-freeze-list": self.freeze,
            "guest-fsfreeze-thaw": self.thaw,
        }
        # Known, and never possible here: there are no users, and nothing to run.
        self.disabled = ("guest-set-user-password", "guest-exec", "guest-file-open")

    # Is anybody there?

    def sync(self, arguments):
        id = arguments.get("id")
        if not isinstance(id, int) or isinstance(id, bool) or abs(id) >> 63:
            raise ValueError("Invalid parameter type for 'id', expected: integer")
        return id

    def info(self, arguments):
        commands = [
            {
                "name": name,
                "enabled": name in self.table,
                "success-response": name != "guest-shutdown",
            }
            for name in list(self.table) + list(self.disabled)
        ]
        return {"version": VERSION, "supported_commands": commands}

    def host_name(self, arguments):
        instance = self.machine.instance
        name = self.machine.settings.get("hostname") or (instance and instance.hostname)
        return {"host-name": name or NAME}

    # The end.

    def shutdown(self, arguments):
        mode = arguments.get("mode", "powerdown")
        machine = self.machine
        if mode not in ("powerdown", "halt", "reboot"):
            raise ValueError("mode is one of powerdown, halt, reboot")
        machine.log.info("the agent is told: %s", mode)
        machine.stop(again=mode == "reboot")
        return SILENT

    # Time.

    def get_time(self, arguments):
        return clock_of(self.machine).now_us() * 1000

    def set_time(self, arguments):
        """To the one given, in nanoseconds, else to that of the RTC."""
        absence.look(self.machine)
        time = arguments.get("time")
        clock = clock_of(self.machine)
        if time is None:
            time = metal.time() * MILLION
        elif isinstance(time, int) and 0 < time // 1000 < LATEST:
            time //= 1000
        else:
            raise ValueError("Parameter 'time' is no time in nanoseconds")
        difference = time - clock.now_us()
        clock.step(difference)
        self.machine.log.info("the agent sets the time, by %d ms", difference // 1000)
        return {}

    # The network.

    def interfaces(self, arguments):
        found = []
        for nic in self.machine.nics:
            mac = ":".join([f"{byte:02x}" for byte in nic.mac])
            addresses = self.addresses(nic.name)
            found.append({"name": nic.name, "hardware-address": mac, "ip-addresses": addresses})
        return found

    def addresses(self, name):
        found = []
        inet = self.machine.inet
        for family in inet.families if inet else ():
            for interface in family.interfaces:
                if interface.name == name and family.size == 4 and interface.address:
                    prefix = prefix_of(interface.routes.table, interface.address)
                    found.append(address("ipv4", interface.address, prefix))
                elif interface.name == name and family.size == 16:
                    for own in interface.addresses.all:
                        found.append(address("ipv6", own.address, own.length))
        return found

    # Disks.

    def status(self, arguments):
        return "frozen" if self.frozen else "thawed"

    def writable(self):
        return [disk for disk in self.machine.disks if not disk.read_only]

    def freeze(self, arguments):
        if self.frozen:
            raise ValueError("it is frozen already")
        self.frozen = True
        self.failed = 0
        self.busy = -1
        for disk in self.writable():
            for name in WRITES:
                setattr(disk, name, self.holder(getattr(disk, name)))
        self.until = max(metal.uptime_ms() + FREEZE_MS, self.until + 1)
        self.timer.start(0)
        return LATER

    def holder(self, method):
        """What a writing method of a disk is meanwhile."""

        def hold(*arguments):
            self.held.append((method, arguments))

        return hold

    def look(self):
        """Under way to being frozen, and the end of it."""
        disks = self.writable()
        if self.busy == 0 or not self.frozen:
            self.machine.log.warning("the agent: thawed, as nobody has asked for it in time")
            self.melt()
        elif metal.uptime_ms() > self.until:
            self.melt()
            self.later(None, "the disks are not done in time")
        elif self.busy < 0 and [disk for disk in disks if disk.busy()]:
            self.timer.start(LOOK_MS)
        elif self.busy < 0:
            self.timer.start(FREEZE_MS)
            self.busy = len(disks)
            until = self.until
            for disk in disks:
                try:
                    disk.flush(lambda status, _: self.flushed(status, until))
                except OSError:
                    self.flushed(EIO, until)  # its device is gone
            if not disks:
                self.all_flushed()

    def flushed(self, status, until):
        """`until`: of the freeze that has asked for it, which may be over."""
        if self.busy > 0 and until == self.until:
            self.failed |= status
            self.busy -= 1
            if self.busy == 0 and self.frozen:
                self.all_flushed()

    def all_flushed(self):
        self.busy = 0
        if self.failed:
            self.melt()
            self.later(None, "a disk failed to flush")
        else:
            self.timer.start(THAW_MS)
            disks = len(self.writable())
            self.machine.log.info("the agent: frozen, %d disks", disks)
            self.later(disks)

    def thaw(self, arguments):
        return self.melt()

    def melt(self):
        """Let the writes go; how many disks that concerns."""
        self.timer.stop()
        if not self.frozen:
            return 0
        self.frozen = False
        self.busy = 0
        disks = self.writable()
        for disk in disks:
            for name in WRITES:
                delattr(disk, name)
        held, self.held = self.held, []
        for method, arguments in held:
            try:
                method(*arguments)
            except (OSError, ValueError) as error:
                # It could not be right, or the device is gone: nobody is there to raise it to.
                self.machine.log.warning("the agent: a write that was held: %s", error)
                arguments[-1](EIO, arguments[1])
        return len(disks)


def address(kind, bytes, prefix):
    return {"ip-address-type": kind, "ip-address": text(bytes), "prefix": prefix}


def prefix_of(table, address):
    """The length of the prefix that is on our link, in the rows of net/ip4/routes.py."""
    for at in range(0, len(table), 12):
        net, mask, gateway = table[at : at + 4], table[at + 4 : at + 8], table[at + 8 : at + 12]
        ours = [address[i] & mask[i] for i in range(4)] == list(net)
        if bytes(gateway) == NOWHERE and ours and mask[0]:
            return length(bytes(mask))
    return 32
