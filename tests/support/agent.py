"""The host's end of a machine's channels: what libvirt does with org.qemu.guest_agent.0.

channels = Channels(agent="org.qemu.guest_agent.0", log="org.importos.log")
with vm.Machine(..., extra=channels.arguments("pc")) as guest:
    agent = Agent(channels.connect("agent"))
    agent("guest-ping")                 its answer; Error for an error
"""

import json
import socket
import tempfile
import time

SENTINEL = b"\xff"


class Error(Exception):
    """`kind` is the class of the error."""

    def __init__(self, error):
        super().__init__(error["desc"])
        self.kind = error["class"]


class Channels:
    def __init__(self, **names):
        # The path of a socket has at most 107 bytes: pytest's own folders may be longer.
        self.folder = tempfile.TemporaryDirectory(prefix="channels-")
        self.names = names

    def path(self, key):
        return f"{self.folder.name}/{key}.sock"

    def arguments(self, device="virtio-serial-pci"):
        found = ["-device", f"{device},id=serials"]
        for number, (key, name) in enumerate(self.names.items(), 1):
            found += ["-chardev", f"socket,id={key},path={self.path(key)},server=on,wait=off"]
            found += [
                "-device",
                f"virtserialport,bus=serials.0,nr={number},chardev={key},name={name}",
            ]
        return tuple(found)

    def connect(self, key):
        made = socket.socket(socket.AF_UNIX)
        made.settimeout(10)
        made.connect(self.path(key))
        return made


class Agent:
    def __init__(self, connection):
        self.connection = connection
        self.rest = b""

    def line(self):
        while b"\n" not in self.rest:
            piece = self.connection.recv(65536)
            if not piece:
                raise EOFError("the channel is closed")
            self.rest += piece
        line, _, self.rest = self.rest.partition(b"\n")
        return line

    def send(self, data):
        self.connection.sendall(data)

    def raw(self, data):
        """What is answered to some bytes."""
        self.send(data)
        return json.loads(self.line())

    def __call__(self, command, **arguments):
        asked = {"execute": command, **({"arguments": arguments} if arguments else {})}
        answer = self.raw(json.dumps(asked).encode() + b"\n")
        if "error" in answer:
            raise Error(answer["error"])
        return answer["return"]

    def sync(self, number=1795227392244):
        """As libvirt does before each session: what was said before may be half of something."""
        self.send(SENTINEL + b'{"execute":"guest-sync-delimited","arguments":{"id":%d}}\n' % number)
        while SENTINEL not in self.rest:
            self.rest += self.connection.recv(65536)
        self.rest = self.rest.partition(SENTINEL)[2]
        return json.loads(self.line())["return"] == number


def wait_until_open(guest, timeout=10):
    """Until the machine has opened the port of the agent: libvirt says "not connected" before."""
    guest.wait_for("port org.qemu.guest_agent.0 is open", timeout)
    time.sleep(0.05)
