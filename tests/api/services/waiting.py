"""asyncio with nothing to do, beside native callbacks: UDP port 7 echoes, port 8 lets a task speak.

Port 9 stops the machine while asyncio.run blocks.
"""

import asyncio
import hashlib
import os
import time

from net.dhcp import Dhcp
from net.inet import Inet
from net.udp import Udp
from services.echo import echo

PORTS = ("udp:7", "udp:8", "udp:9")


async def main(flag, socket):
    while True:
        await flag.wait()
        address, port = flag.caller
        await asyncio.sleep_ms(5)
        socket.send_to(b"from a task", address, port)


def start(machine):
    inet = Inet(machine, udp=Udp, configure=Dhcp)
    flag = asyncio.ThreadSafeFlag()

    def call(socket, datagram):
        flag.caller = datagram.source, datagram.source_port
        flag.set()

    inet.udp.bind(7, echo)
    socket = inet.udp.bind(8, call)
    inet.udp.bind(9, lambda socket, datagram: machine.stop())
    begin = time.ticks_ms()
    time.sleep_ms(30)
    slept = time.ticks_diff(time.ticks_ms(), begin)
    print("slept", 30 <= slept < 100)
    print("sha1", hashlib.sha1(b"abc").hexdigest())
    print("md5", hashlib.md5(b"abc").hexdigest())
    try:
        print("urandom", len(os.urandom(20)))
    except OSError as error:
        print("urandom:", error)
    print("all set")
    asyncio.run(main(flag, socket))


def stop():
    print("last words")
