"""TCP services to be measured and tested: the smallest that do something.

7      echo                          9      discard
19     as much as the peer takes     80     answers each request, an empty line at its end
"""

from net.dhcp import Dhcp
from net.inet import Inet
from net.tcp import Tcp

PORTS = ("tcp:7", "tcp:9", "tcp:19", "tcp:80")

MEGABYTE = bytes(1_000_000)
BODY = b"x" * 1000
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + BODY


def start(machine):
    inet = Inet(machine, tcp=Tcp, configure=Dhcp)
    for port, accept in ((7, echo), (9, discard), (19, chargen), (80, web)):
        inet.tcp.listen(port, accept)


def echo(connection):
    connection.on_data = echo_data


def echo_data(connection, segment):
    length = segment.length
    if connection.put(segment.buffer, segment.payload, length, 1) < length:
        connection.abort()


def discard(connection):
    pass


def chargen(connection):
    connection.on_writable = chargen_more
    chargen_more(connection)


def chargen_more(connection):
    while connection.write(MEGABYTE):
        pass


def web(connection):
    connection.on_data = web_data


def web_data(connection, segment):
    end = segment.end
    if segment.buffer[end - 1] == 10 and segment.buffer[end - 3] == 10:
        connection.write(ANSWER)
