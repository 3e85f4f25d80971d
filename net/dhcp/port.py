"""UDP port 68, which the DHCP clients of all interfaces share.

A message goes to the client whose transaction it names.  Each client sends by its own interface,
which may have no address yet.
"""

from micropython import const

from net.dhcp.message import OPTIONS
from net.udp.socket import Socket

SERVER_PORT = const(67)
CLIENT_PORT = const(68)

# Of the counters of dhcp.py.
SHORT = const(5)
FOREIGN = const(6)


def share(interface, client):
    """The socket that this client sends with; what arrives goes to the client it is meant for."""
    udp = interface.udp
    bound = udp.find(CLIENT_PORT)
    if not bound:
        bound = udp.bind(CLIENT_PORT, receive)
        bound.clients = []
    bound.clients.append(client)
    socket = Socket(udp, CLIENT_PORT, receive)
    # By this interface, whatever its address is now.
    socket.output = interface.ip4.send
    socket.offload = 0  # which another interface might not have
    socket.set(source_for=lambda destination: interface.address)
    return socket


def receive(socket, datagram):
    first = socket.clients[0]
    if datagram.length < OPTIONS:
        first.count(SHORT)
        return
    message = datagram.data
    for client in socket.clients:
        if client.is_ours(message):
            client.hear(message)
            return
    first.count(FOREIGN)
