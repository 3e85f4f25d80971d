"""chargen: characters without end, on TCP and UDP port 19.  RFC 864.

A connection gets lines of 72 characters, each beginning one character later, as fast as it reads
them; what it sends is thrown away.  A datagram is answered with as many characters as it has
itself, up to 512: a port that answers with more than it was asked is a weapon against others.
"""

from net.dhcp import Dhcp
from net.inet import Inet
from net.tcp import Tcp
from net.udp import Udp

PORTS = ("tcp:19", "udp:19")
PORT = 19
CHARACTERS = bytes(range(32, 127))
LINE = 72
LONGEST = 512
# A line for each character to begin with; after the last comes the first again.
LINES = b"".join([(CHARACTERS * 2)[n : n + LINE] + b"\r\n" for n in range(len(CHARACTERS))])


def start(machine):
    inet = Inet(machine, udp=Udp, tcp=Tcp, configure=Dhcp)
    inet.udp.bind(PORT, answer)
    inet.tcp.listen(PORT, accept)


def answer(socket, datagram):
    socket.reply(datagram, LINES, 0, min(datagram.length, LONGEST))


def accept(connection):
    connection.on_writable = generate
    connection.context = 0  # where in LINES it is
    generate(connection)


def generate(connection):
    """Write until the connection takes no more."""
    at = connection.context
    while True:
        taken = connection.write(LINES, at, len(LINES) - at)
        at += taken
        if at < len(LINES):
            break
        at = 0
    connection.context = at
