"""The service of tests/support/probe.py over IPv6 only, with a name server on port 53 if there is a
table at `zone=`: an echo on port 7, and a control port that makes the stack do and say things.

Port 99 takes one command per datagram:
    drops, counters  -> what was dropped so far, or every number, as the text of a dict
    addresses        -> our addresses
    network          -> name servers, domain, search domains, time servers
    routers          -> the default routers
    mtu HOST         -> the path MTU to there
    join GROUP       -> be in a group
    send HOST PORT   -> send a datagram there; where it cannot arrive, `unreachable HOST PORT TYPE
    CODE` is printed
"""

from net.address import parse, text
from net.inet6 import Inet6
from net.ip6.dhcp6 import Dhcp6
from net.udp import Udp

PORTS = ("udp:7", "udp:99")


def echo(socket, datagram):
    socket.reply(datagram, datagram.buffer, datagram.payload, datagram.length)


def start(machine):
    inet = Inet6(machine, udp=Udp, configure=Dhcp6)
    inet.udp.bind(7, echo)

    def unreachable(socket, address, port, kind):
        print("unreachable", text(address), port, kind >> 8, kind & 0xFF)

    def answer(words):
        if words[0] == "send":
            sender.send_to(b"are you there?", parse(words[1]), int(words[2]))
            return "sent"
        if words[0] == "join":
            inet.udp.stack.join(parse(words[1]))
            return "joined"
        if words[0] == "addresses":
            return " ".join([text(address) for address in inet.addresses6])
        if words[0] == "network":
            servers = [[text(address) for address in some] for some in (inet.dns, inet.ntp)]
            return repr([servers[0], inet.domain, list(inet.search), servers[1]])
        if words[0] == "routers":
            routers = inet.first6.routes.default_routers
            return " ".join([text(address) for address in routers])
        if words[0] == "mtu":
            return str(inet.path_mtu(parse(words[1])))
        numbers = machine.counters() if words[0] == "counters" else machine.counters.drops()
        return repr({name: number for name, number in numbers.items() if number})

    def control(socket, datagram):
        words = datagram.data.decode().split()
        socket.send_to(answer(words).encode(), datagram.source, datagram.source_port)

    sender = inet.udp.bind(0, echo)
    sender.unreachable = unreachable
    inet.udp.bind(99, control)
