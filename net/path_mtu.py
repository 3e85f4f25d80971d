"""Path MTUs that routers have told us of: RFC 1191 section 6, RFC 8201 section 5; both families.

A bounded list of the latest; each is forgotten after ten minutes, so that a longer path is found.
Above: the network layer, which decides what to believe.
"""

from micropython import const

from net.config import PATH_MTUS

KEPT_MS = const(600_000)  # RFC 1191 section 6.3
TURN = const(0x3FFFFFFF)


class PathMtu:
    def __init__(self, timers):
        self.timers = timers
        self.known = []  # of (destination, mtu, when), the oldest first

    def of(self, destination, link):
        """The longest datagram that gets there; `link`: the longest that leaves."""
        for entry in self.known:
            if entry[0] == destination:
                if (self.timers.now() - entry[2]) & TURN < KEPT_MS:
                    return min(entry[1], link)
                self.known.remove(entry)
                break
        return link

    def learn(self, destination, mtu):
        self.known = [entry for entry in self.known if entry[0] != destination]
        if len(self.known) == PATH_MTUS:
            self.known.pop(0)
        self.known.append((destination, mtu, self.timers.now()))
