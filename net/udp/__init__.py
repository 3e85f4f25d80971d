"""UDP: datagrams between ports.  RFC 768.  See udp.py and, for what a service has, socket.py."""

from net.udp.udp import Udp

__all__ = ["Udp"]
