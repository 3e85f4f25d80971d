"""A service for tests: an echo on port 7, and a control port that makes the stack do and say
things.

Port 99 takes one command per datagram:
    drops            -> what was dropped so far, as the text of a dict
    counters         -> the same of all counters
    send HOST PORT   -> send a datagram there; where it cannot arrive, `unreachable HOST PORT TYPE
    CODE`
                        is printed
    stop             -> end the machine in order
"""

from net.address import parse, text
from net.dhcp import Dhcp
from net.inet import Inet
from net.udp import Udp
from services.echo import echo

PORTS = ("udp:7", "udp:99")


def start(machine):
    inet = Inet(machine, udp=Udp, configure=Dhcp)
    inet.udp.bind(7, echo)

    def unreachable(socket, address, port, kind):
        print("unreachable", text(address), port, kind >> 8, kind & 0xFF)

    def control(socket, datagram):
        words = datagram.data.decode().split()
        if words[0] == "send":
            answer = b"sent"
            sender.send_to(b"are you there?", parse(words[1]), int(words[2]))
        elif words[0] == "stop":
            answer = b"stopping"
            machine.stop()
        else:
            numbers = machine.counters() if words[0] == "counters" else machine.counters.drops()
            answer = repr({name: number for name, number in numbers.items() if number}).encode()
        socket.send_to(answer, datagram.source, datagram.source_port)

    sender = inet.udp.bind(0, echo)
    sender.unreachable = unreachable
    inet.udp.bind(99, control)
