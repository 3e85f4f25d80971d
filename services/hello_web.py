"""hello_web: a web application in ten lines.  curl http://127.0.0.1:5380/ while it runs."""

from net.dhcp import Dhcp
from net.http import Http
from net.inet import Inet
from net.tcp import Tcp
from net.udp import Udp

PORTS = ("tcp:80",)


def start(machine):
    inet = Inet(machine, udp=Udp, tcp=Tcp, configure=Dhcp)
    Http(machine, inet.tcp, hello).listen(80)


def hello(request, response):
    response.send("text/plain", b"Hello from ImportOS.\n")
