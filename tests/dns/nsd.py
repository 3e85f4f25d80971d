"""NSD as the oracle: a process of ours on a port of the loopback interface."""

import contextlib
import shutil
import socket
import subprocess
import time
from pathlib import Path

NSD = shutil.which("nsd") or shutil.which("nsd", path="/usr/sbin:/usr/local/sbin")

CONFIG = """\
server:
    ip-address: 127.0.0.1@{port}
    do-ip6: no
    server-count: 1
    username: ""
    chroot: ""
    zonesdir: "{folder}"
    database: ""
    pidfile: ""
    zonelistfile: "{folder}/zone.list"
    xfrdfile: "{folder}/xfrd.state"
    xfrdir: "{folder}"
    logfile: "{folder}/nsd.log"
    rrl-ratelimit: 0
    rrl-whitelist-ratelimit: 0
remote-control:
    control-enable: no
"""
ZONE = """\
zone:
    name: "{name}"
    zonefile: "{file}"
    provide-xfr: 127.0.0.1 NOKEY
"""


@contextlib.contextmanager
def serve(folder, zones):
    """NSD for {origin: zone file}: yields (address, port), ends it in the end."""
    folder = Path(folder)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = folder / "nsd.conf"
    config.write_text(
        CONFIG.format(port=port, folder=folder)
        + "".join(ZONE.format(name=name, file=Path(file).resolve()) for name, file in zones.items())
    )
    process = subprocess.Popen(
        [NSD, "-d", "-c", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait(process, port, folder / "nsd.log")
        yield "127.0.0.1", port
    finally:
        process.terminate()
        process.wait(10)


def _wait(process, port, log):
    query = bytes.fromhex("000100000001000000000000000006000100")[:12] + b"\0\0\6\0\1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.settimeout(0.2)
        probe.connect(("127.0.0.1", port))
        for _ in range(100):
            if process.poll() is not None:
                break
            with contextlib.suppress(OSError):
                probe.send(query)
                probe.recv(512)
                return
            time.sleep(0.05)
    raise AssertionError("NSD does not answer: " + log.read_text(errors="replace")[-2000:])
