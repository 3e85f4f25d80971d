"""stream: a peer for `iperf3 -c`, which measures how fast TCP and UDP are.

    iperf3 -c HOST            the client sends
    iperf3 -c HOST -R         we send;  --bidir: both;  -P 4: four streams;  -u -b 10M: UDP

    control.py  the control connection: states, parameters, results
    flow.py     a stream of TCP or UDP, which sends or receives
    tally.py    counting bytes without allocating

One test at a time; who comes meanwhile is told so.
Left out: authentication, CPU use, `--get-server-output`, SCTP.
"""

from net.dhcp import Dhcp
from net.inet import Inet
from net.tcp import Tcp
from net.udp import Udp
from services.stream.control import Server

PORTS = ("tcp:5201", "udp:5201")
PORT = 5201


def start(machine):
    inet = Inet(machine, udp=Udp, tcp=Tcp, configure=Dhcp)
    server = Server(machine)
    inet.tcp.listen(PORT, server.accept)
    server.socket = inet.udp.bind(PORT, server.datagram)
