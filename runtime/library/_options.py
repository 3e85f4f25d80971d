"""Options of sockets: those that do something, those that may be asked for, and no others.

A base of socket.py's class.
"""

from _endpoints import Connection, Datagrams
from _transfer import Transfer
from micropython import const

from runtime.waiting import failure

IPPROTO_IP = const(0)
IPPROTO_TCP = const(6)
IPPROTO_UDP = const(17)
IPPROTO_IPV6 = const(41)
SOL_SOCKET = const(1)
SO_REUSEADDR = const(2)
SO_TYPE = const(3)
SO_ERROR = const(4)
SO_BROADCAST = const(6)
SO_SNDBUF = const(7)
SO_RCVBUF = const(8)
SO_KEEPALIVE = const(9)
SO_LINGER = const(13)
SO_REUSEPORT = const(15)
TCP_NODELAY = const(1)
IP_ADD_MEMBERSHIP = const(35)
IP_DROP_MEMBERSHIP = const(36)
IPV6_JOIN_GROUP = const(20)
IPV6_LEAVE_GROUP = const(21)
IPV6_V6ONLY = const(26)

NO_OPTION = const(92)

KEEPALIVE = (7200000, 75000, 9)  # RFC 1122 4.2.3.6: two hours
ACCEPTED = ((SOL_SOCKET, (SO_REUSEADDR, SO_BROADCAST, SO_SNDBUF, SO_RCVBUF, SO_REUSEPORT)),)


class Options(Transfer):
    def setsockopt(self, level, option, value=None):
        if level == SOL_SOCKET and option == SO_KEEPALIVE:
            self._keepalive = KEEPALIVE if value else None
            self._set_options()
        elif level == SOL_SOCKET and option == SO_LINGER:
            # Two ints: whether, and seconds; what is sent is never forgotten by an orderly close.
            self._abrupt = value[0] != 0 and not any(value[4:8])
        elif level == IPPROTO_TCP and option == TCP_NODELAY:
            self._nodelay = bool(value)
            self._set_options()
        elif level == IPPROTO_IP and option in (IP_ADD_MEMBERSHIP, IP_DROP_MEMBERSHIP):
            self._group(option == IP_ADD_MEMBERSHIP, bytes(value)[:4])
        elif level == IPPROTO_IPV6 and option in (IPV6_JOIN_GROUP, IPV6_LEAVE_GROUP):
            self._group(option == IPV6_JOIN_GROUP, bytes(value)[:16])
        elif level == IPPROTO_IPV6 and option == IPV6_V6ONLY:
            pass
        elif not any(level == known and option in them for known, them in ACCEPTED):
            raise failure(NO_OPTION)

    def _set_options(self):
        end = self._end
        if isinstance(end, Connection) and end.connection and not end.gone:
            end.connection.set(nodelay=self._nodelay, keepalive=self._keepalive)

    def _group(self, join, group):
        if not isinstance(self._end, Datagrams):
            self._bind(self._port)
        ours = self._end.socket
        (ours.join if join else ours.leave)(group)

    def getsockopt(self, level, option, length=0):
        if level == SOL_SOCKET and option == SO_ERROR:
            error, self._end.error = self._end.error, 0
            return error
        if level == SOL_SOCKET and option == SO_TYPE:
            return self.type
        if level == IPPROTO_TCP and option == TCP_NODELAY:
            return int(self._nodelay)
        if level == SOL_SOCKET and option == SO_KEEPALIVE:
            return int(self._keepalive is not None)
        if any(level == known and option in them for known, them in ACCEPTED):
            return 0
        raise failure(NO_OPTION)
