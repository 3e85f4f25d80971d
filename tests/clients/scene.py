"""Two hosts on a virtual wire: the client under test, and one that plays its servers.

scene = Scene(dns="10.0.0.1")
server = scene.serve(53, answer)        answer(datagram) -> bytes, list of bytes, or None
server.heard                            (time, payload, source port) of each datagram
scene.run(1000)
"""

from net.inet import Inet
from net.udp import Udp
from tests.support.wire import Host, Random, World

CLIENT, SERVER, SECOND = "10.0.0.2", "10.0.0.1", "10.0.0.3"


class Entropy:
    """Not secret, and the same in each run."""

    seeded = True

    def __init__(self, seed=1):
        self.random = Random(seed)

    def bytes(self, count):
        return bytes([self.random.bits(8) for _ in range(count)])


class Scripted:
    """A UDP port of the server that answers as it is told."""

    def __init__(self, scene, inet, port, answer):
        self.scene = scene
        self.heard = []
        self.answer = answer
        self.socket = inet.udp.bind(port, self.receive)

    def receive(self, socket, datagram):
        data = datagram.data
        self.heard.append((self.scene.world.time, data, datagram.source_port))
        answers = self.answer(data) if self.answer else None
        if answers is None:
            return
        if isinstance(answers, (bytes, bytearray)):
            answers = [answers]
        for wire in answers:
            socket.send_to(bytes(wire), datagram.source, datagram.source_port)


class Scene:
    def __init__(self, seed=1, **settings):
        self.world = World()
        self.client = self.host("client", CLIENT, seed, settings)
        self.server = self.host("server", SERVER, seed, {})
        self.inet = self.client.inet
        self.world.run(3_000)

    def host(self, name, address, seed=1, settings=None):
        host = Host(self.world, name, address=address + "/24", **(settings or {}))
        host.entropy = Entropy(seed)
        host.inet = Inet(host, udp=Udp)
        return host

    def serve(self, port, answer=None, host=None):
        return Scripted(self, (host or self.server).inet, port, answer)

    def run(self, ms):
        self.world.run(ms)

    def drops(self, owner):
        """What `owner` of the client has dropped."""
        found = {}
        for name, number in self.client.counters.drops().items():
            if name.startswith(owner + "."):
                found[name[len(owner) + 1 :]] = number
        return found
