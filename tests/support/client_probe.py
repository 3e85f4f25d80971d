"""A service for tests: the clients of net/, and a control port that makes them do and say things.

Port 99 takes one command per datagram:
    lookup NAME      -> the addresses, or the error
    clock            -> synchronised, error of the clock in us against the process's, steps
    log TEXT         -> a line for the log
    host             -> the name that mDNS has got
    goodbye          -> mDNS says goodbye
    drops            -> what was dropped so far

The clock begins an hour late.
"""

import time

from net.address import text
from net.dhcp import Dhcp
from net.dual import Dual
from net.mdns import Mdns
from net.ntp import Ntp
from net.resolver import Resolver
from net.syslog import Syslog
from net.tcp import Tcp
from net.udp import Udp
from runtime.clock import Clock, clock_of

HOUR_US = 3_600_000_000


def start(machine):
    inet = Dual(machine, udp=Udp, tcp=Tcp, configure=Dhcp)
    true = clock_of(machine)
    clock = machine.clock = Clock(true.uptime_us, true.now_us() - HOUR_US)
    resolver = Resolver(machine, inet)
    Syslog(machine, resolver, inet)
    Ntp(machine, resolver, inet)
    mdns = Mdns(machine, inet)
    mdns.publish("Test page", "_http._tcp", 80, {"path": "/index.html"})

    def control(socket, datagram):
        command, _, argument = datagram.data.decode().partition(" ")
        source, port = datagram.source, datagram.source_port

        def answer(what):
            socket.send_to(str(what).encode(), source, port)

        if command == "lookup":
            resolver.lookup(
                argument,
                lambda found, error: answer(" ".join(map(text, found)) if found else error),
            )
        elif command == "clock":
            error = clock.now_us() - time.time_ns() // 1000
            answer((clock.synchronised, error, machine.counters()["ntp.steps"]))
        elif command == "log":
            machine.log.warning(argument)
            answer("logged")
        elif command == "host":
            answer(mdns.host)
        elif command == "goodbye":
            mdns.close()
            answer("goodbye")
        else:
            answer(machine.counters.drops())

    inet.udp.bind(99, control)
