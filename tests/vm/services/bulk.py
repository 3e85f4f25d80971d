"""Takes what comes on port 9, and sends on port 19 as many bytes as it is asked for."""

from net.inet import Inet
from net.tcp import Tcp

CONTENT = b"0123456789abcdef" * 4096


def start(machine):
    inet = Inet(machine, tcp=Tcp)
    inet.tcp.listen(9, discard)
    inet.tcp.listen(19, source)


def discard(connection):
    connection.on_data = ignore


def ignore(connection, segment):
    pass


def source(connection):
    connection.on_data = asked


def asked(connection, segment):
    connection.context = int(segment.data)
    connection.on_writable = more
    more(connection)


def more(connection):
    left = connection.context
    while left:
        taken = connection.write(CONTENT, 0, min(left, len(CONTENT)))
        left -= taken
        if not taken:
            break
    connection.context = left
    if not left:
        connection.close()
