"""Metadata over HTTP: what a cloud tells an instance that asks 169.254.169.254.

Asked only where there is reason to believe in it: the firmware says OpenStack or Amazon, or
`ds=nocloud;s=http://ADDRESS/` (its serial number, or the setting `ds`), or the setting
`metadata=yes`; `metadata=no` forbids it.  OpenStack's documents first, then EC2's, with a token if
the server wants one (IMDSv2).

The service's stack does not exist yet, so one is made for this, with DHCP, and taken apart again:
its timers, counters, packets and the slots of the nic are as before; its lease is handed on as
`last-address`, so that the service's DHCP needs one round trip.

A server that is silent, busy (5xx) or not there yet is asked again after 0.5, 1, 2 ... 8 s, for
`metadata-wait` seconds in all (120); then the machine starts without.

Above: runtime/instance.  Below: net/get.py.
Left out: names in `ds=`; IPv6 (fe80::a9fe:a9fe).
"""

import gc

from net.address import parse, text
from net.dhcp import Dhcp
from net.get import Get
from net.inet import Inet
from net.tcp import Tcp
from net.udp import Udp
from runtime.counters import Registry
from runtime.instance import userdata
from runtime.instance.drive import Source, document, nocloud
from runtime.log import WARNING, Log
from runtime.settings import Settings

SERVER = "169.254.169.254"
WAIT_S = 120
FIRST_PAUSE_MS = 500
LONGEST_PAUSE_MS = 8_000
GOODBYE_MS = 200
STEP_MS = 10
BUSY = (0, 408, 425, 429)  # statuses, besides 5xx, after which it is worth asking again
SLOTS = ("receive", "urgent_receive", "on_link", "on_announce", "on_return", "mtu")
OPENSTACK = "/openstack/latest/"
EC2 = "/latest/"
TOKEN = EC2 + "api/token"
TOKEN_HEAD = "X-aws-ec2-metadata-token-ttl-seconds: 300\r\nContent-Length: 0\r\n"
LONGEST_TOKEN = 1024  # Amazon's has 56 characters
UNAUTHORIZED = 401
ID = "/latest/meta-data/instance-id"
FACTS = {
    "hostname": "hostname",
    "availability_zone": "placement/availability-zone",
    "launch_index": "ami-launch-index",
    "key": "public-keys/0/openssh-key",
}


class Silence(Exception):
    """Time is over."""


def find(machine, system):
    """A Source, or None."""
    settings = machine.settings
    wanted = settings.get("metadata")
    where = seed(system.serial) or seed(f"ds={settings.get('ds', '')}")
    believe = where or system.product.startswith("OpenStack") or "Amazon" in system.manufacturer
    nics = [nic for nic in machine.nics if nic.link]
    if wanted == "no" or not (believe or wanted == "yes"):
        return None
    if not nics:
        machine.log.warning("instance: metadata: no network device has a link")
        return None
    host, port, path = SERVER, 80, None
    try:
        seconds = int(settings.get("metadata-wait", WAIT_S))
        if where:
            host, port, path = parts(where)
        address = parse(host)
    except ValueError as error:
        machine.log.warning("instance: metadata: %s", error)
        return None
    for nic in nics:
        visit = Visit(machine, nic, seconds * 1000 // len(nics), address, port, host)
        try:
            if path is None:
                return visit.cloud()
            return visit.seed(path)
        except Silence:
            machine.log.warning("instance: metadata by %s: %s", nic.name, visit.reason)
        except SystemExit:
            return None  # the machine is stopped; boot sees it, too
        finally:
            visit.close()
    return None


def seed(serial):
    """The URL of `ds=nocloud;s=http://10.0.0.1/`, or ""."""
    kind, *words = serial.split(";")
    found = [word[2:] for word in words if word[:2] == "s="]
    return found[0] if found and kind in ("ds=nocloud", "ds=nocloud-net") else ""


def parts(url):
    """(host, port, path) of http://host:port/path/."""
    host, _, path = url[7:].partition("/")
    host, _, port = host.partition(":")
    port = int(port or 80)
    if not url.startswith("http://") or not 0 < port < 65536 or " " in path:
        raise ValueError(f"{url}: not http://ADDRESS:PORT/PATH/")
    return host, port, "/" + path


def plain(data):
    """The text that a document is, "" if it is none."""
    try:
        return str(data or b"", "utf-8").strip()
    except ValueError:
        return ""


class Borrowed:
    """The machine's timers, for a while."""

    def __init__(self, timers):
        self.timers = timers
        self.clock = timers.clock
        self.now = timers.now
        self.mine = []

    def timer(self, callback):
        timer = self.timers.timer(callback)
        self.mine.append(timer)
        return timer

    def drop(self, timer):
        self.mine.remove(timer)
        self.timers.drop(timer)

    def give_back(self):
        while self.mine:
            self.timers.drop(self.mine.pop())


class Visit:
    """A stack on one nic, and the machine that it believes to be in."""

    inet = None
    head = ""
    status = 0

    def __init__(self, machine, nic, patience, address, port, host):
        self.machine = machine
        self.nic = nic
        self.server = address, port
        self.host = host if port == 80 else f"{host}:{port}"
        self.nics = [nic]
        self.log = Log(machine.log.write, machine.log.clock, WARNING)
        self.timers = Borrowed(machine.timers)
        self.loop = machine.loop
        self.random = machine.random
        self.entropy = machine.entropy
        self.uptime_ms = machine.uptime_ms
        self.counters = Registry()
        values = machine.settings.values  # (nobody has asked for them: they may still change)
        self.settings = Settings("probe=no", values)
        if nic is not machine.nics[0]:
            mine = self.settings.values
            for name in ("address", "gateway", "mtu"):
                mine.pop(name, None)
                if nic.name + "." + name in values:
                    mine[name] = values[nic.name + "." + name]
        self.slots = [(name, getattr(nic, name, None)) for name in SLOTS]
        self.end = machine.uptime_ms() + patience
        self.reason = "no address"
        self.answer = None

    # What is asked.

    def cloud(self):
        """What OpenStack says, else what EC2 does."""
        self.connect()
        log = self.machine.log
        data = self.get(OPENSTACK + "meta_data.json")
        if data is not None:
            where = "metadata of OpenStack at " + self.host
            meta = document(data, where, log)
            network = self.more(OPENSTACK + "network_data.json")
            network = document(network, "network_data.json of " + where, log)
            return Source(where, meta, self.more(OPENSTACK + "user_data") or b"", network)
        found = self.get(ID)
        if self.status == UNAUTHORIZED:
            # IMDSv2: a token first, which goes with each question.
            token = plain(self.more(TOKEN, method="PUT", head=TOKEN_HEAD))
            if 0 < len(token) <= LONGEST_TOKEN and userdata.is_name(token, "-_=+/."):
                self.head = f"X-aws-ec2-metadata-token: {token}\r\n"
                found = self.get(ID)
        if found is None:
            self.reason = f"status {self.status}" if self.status != 200 else "no token"
            raise Silence
        facts = {name: plain(self.more(EC2 + "meta-data/" + path)) for name, path in FACTS.items()}
        facts["uuid"] = plain(found)
        index = facts["launch_index"]
        facts["launch_index"] = int(index) if index.isdigit() else 0
        facts["public_keys"] = {"0": facts["key"]} if facts["key"] else {}
        where = "metadata of EC2 at " + self.host
        return Source(where, facts, self.more(EC2 + "user-data") or b"")

    def seed(self, path):
        """NoCloud's documents."""
        self.connect()
        meta = nocloud(self.get(path + "meta-data") or b"")
        return Source("NoCloud at " + self.host, meta, self.more(path + "user-data") or b"")

    # How.

    def connect(self):
        self.inet = inet = Inet(self, udp=Udp, tcp=Tcp, configure=Dhcp)
        inet.on_configured = self.heard
        while not inet.address:
            self.wait()

    def heard(self, *answer):
        """An address has come, or an answer."""
        self.answer = answer
        self.loop.wake()

    def wait(self):
        """Let the machine run, until something has come or time is over."""
        left = self.end - self.uptime_ms()
        if left <= 0:
            raise Silence
        self.loop.block(left)

    def get(self, path, **options):
        """The document; None: there is none.  Silence: nobody has said so in time."""
        pause = FIRST_PAUSE_MS
        options = options or {"head": self.head}
        while True:
            self.answer = None
            try:
                get = Get(self.inet, *self.server, path, self.heard, self.host, **options)
                try:
                    while not self.answer:
                        self.wait()
                finally:
                    get.stop()
                self.status, body, self.reason = self.answer
            except OSError as error:
                self.status, self.reason = 0, str(error)
            if self.status == 200:
                return body
            if self.status not in BUSY and self.status < 500:
                return None
            self.reason = self.reason or f"status {self.status}"
            self.machine.log.info("instance: %s%s: %s; again", self.host, path, self.reason)
            again = min(self.uptime_ms() + pause, self.end)
            while self.uptime_ms() < again:
                self.loop.block(again - self.uptime_ms())
            if again == self.end:
                raise Silence
            pause = min(2 * pause, LONGEST_PAUSE_MS)

    def more(self, path, **options):
        """A document that is not worth failing for."""
        try:
            return self.get(path, **options)
        except Silence:
            self.machine.log.warning("instance: %s%s: %s; left out", self.host, path, self.reason)
            return None

    def close(self):
        """Leave nothing behind but the lease."""
        inet, machine = self.inet, self.machine
        if inet:
            end = self.uptime_ms() + GOODBYE_MS
            while inet.tcp.connections and self.uptime_ms() < end and not self.loop.stopped():
                self.loop.block(STEP_MS)
            for connection in inet.tcp.connections:
                connection.abort()
            if inet.configuration and inet.address and self.nic is machine.nics[0]:
                machine.settings.values["last-address"] = text(inet.address)
                machine.settings.get("last-address")  # nobody else may
            for name, slot in self.slots:
                setattr(self.nic, name, slot)
            for packet in inet.held():
                packet.release()
        self.timers.give_back()
        self.inet = None
        gc.collect()
