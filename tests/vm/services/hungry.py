"""Takes as many megabytes as it is asked for on port 9, keeps them, checks them; 0 lets them go.

With the setting `first` it takes so many at the start, and lets them go.
"""

import gc

from net.inet import Inet
from net.udp import Udp

MEGABYTE = 1 << 20
kept = [None] * 512  # its place in the heap is low, and stays there
count = 0


def start(machine):
    take(int(machine.settings.get("first", 0)))
    forget()
    inet = Inet(machine, udp=Udp)
    inet.udp.bind(9, asked)


def asked(socket, datagram):
    wanted = int(bytes(datagram.data))
    try:
        take(wanted) if wanted else forget()
        answer = b"%d %s" % (count, b"good" if all_good() else b"spoilt")
    except MemoryError:
        forget()
        answer = b"no memory"
    socket.reply(datagram, answer, 0, len(answer))


def take(wanted):
    global count
    for _ in range(wanted):
        piece = bytearray(MEGABYTE)
        piece[0] = piece[-1] = count & 0xFF
        kept[count] = piece
        count += 1


def forget():
    global count
    while count:
        count -= 1
        kept[count] = None
    gc.collect()


def all_good():
    return all(kept[i][0] == i & 0xFF and kept[i][-1] == kept[i][0] for i in range(count))
