"""The small modules: machine, logging, ssl, os, network; and hashes as machine code."""

import hashlib
import subprocess

import pytest

from net.inet import Inet
from net.udp import Udp
from tests.api.support import Machine
from tests.support import images
from tests.support.wire import World
from tools.host import interpreters


@pytest.fixture
def machine():
    made = Machine(World(), address="10.0.0.1/24", gateway="10.0.0.254", dns="10.0.0.53")
    made.nics = [made.nic]
    return made


def test_machine_has_a_timer_and_an_identity(machine):
    library = machine.load("machine")
    assert library.unique_id() == bytes([2, 0, 0, 0, 0, 1])
    fired = []
    timer = library.Timer(-1, period=100, mode=library.Timer.PERIODIC, callback=fired.append)
    machine.world.run(350)
    assert fired == [timer] * 3
    timer.deinit()
    machine.world.run(350)
    assert len(fired) == 3
    once = library.Timer()
    once.init(mode=library.Timer.ONE_SHOT, freq=10, callback=fired.append)
    machine.world.run(350)
    assert fired[3:] == [once]


def test_logging_goes_to_the_log_of_the_machine(machine):
    logging = machine.load("logging")
    log = logging.getLogger("web")
    assert logging.getLogger("web") is log
    log.info("not said: the level is WARNING to begin with")
    log.warning("%d is too many", 7)
    log.setLevel(logging.DEBUG)
    log.debug("said")
    logging.basicConfig(level=logging.INFO)
    logging.info("root")
    assert machine.log.lines[-3:] == ["web: 7 is too many", "web: said", "root: root"]


def test_ssl_says_that_there_is_none(machine):
    ssl = machine.load("ssl")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for use in (context.wrap_socket, ssl.wrap_socket):
        with pytest.raises(OSError, match="no TLS in this machine"):
            use(None, server_hostname="x")


def test_urandom_is_the_machines_or_an_error(machine):
    os = machine.load("os")
    assert len(os.urandom(20)) == 20 and os.urandom(20) != os.urandom(20)
    machine.entropy.seeded = False
    with pytest.raises(OSError, match="no entropy"):
        os.urandom(1)
    assert os.uname()[0]


def test_the_network_is_up(machine):
    machine.inet = Inet(machine, udp=Udp)
    network = machine.load("network")
    wlan = network.WLAN(network.STA_IF)
    wlan.active(True)
    wlan.connect("name", "key")
    assert wlan.isconnected() and wlan.status() == network.STAT_GOT_IP
    assert wlan.ifconfig() == ("10.0.0.1", "255.255.255.0", "10.0.0.254", "10.0.0.53")
    assert wlan.config("mac") == bytes([2, 0, 0, 0, 0, 1])


@pytest.mark.micropython_linux
def test_hashes_as_machine_code():
    """The vectors of test_hashlib run on CPython; here viper is x86 with registers of 32 bits."""
    program = """
import sys
sys.path.insert(0, "runtime/library")
sys.modules["_hashlib"] = __import__("uhashlib")
import hashlib, binascii
for n in range(150):
    data = bytes([(i * n) & 0xFF for i in range(n * 3)])
    print(binascii.hexlify(hashlib.sha1(data).digest()).decode(), hashlib.md5(data).hexdigest())
"""
    command = [*interpreters.command("micropython"), "-c", program]
    done = subprocess.run(command, cwd=images.ROOT, capture_output=True, text=True)
    expected = []
    for n in range(150):
        data = bytes([(i * n) & 0xFF for i in range(n * 3)])
        expected.append(f"{hashlib.sha1(data).hexdigest()} {hashlib.md5(data).hexdigest()}")
    assert done.stdout.splitlines() == expected, done.stderr
