"""Routes of IPv6: prefixes of the link, routes that routers announce, default routers, redirects.

RFC 4861 sections 5.2 and 6.3.6 (next hop, choice of a default router); RFC 4191 (preferences and
more specific routes); RFC 5942 (nothing is on the link because its prefix looks like ours); RFC
4861 section 8 (redirects).

One table holds all: a prefix of the link is a route without a router, a default router is a route
of length 0.  It is kept in order, the longest prefix first, of equals the preferred one.  Routes
are looked at only when a new path is made (see header.py).

Bounded by config.py: routes in all, routes of one router, routers.  What is known is not given up
for what a flood of advertisements brings.
Above: header.find_path, by `next_hop`.  Sideways: `unreachable(router)` asks the neighbours.
"""

import micropython
from micropython import const

from net.config import REDIRECTS6, ROUTERS6, ROUTES6, ROUTES_OF_ROUTER
from net.ip6.seconds import FOREVER

HIGH, MEDIUM, LOW = 1, 0, -1  # RFC 4191 section 2.1

LINK_LOCAL = const(0xFE)


@micropython.viper
def matches(address, prefix, length: int) -> bool:
    """Do the first `length` bits agree?"""
    one = ptr8(address)
    other = ptr8(prefix)
    i = 0
    while length >= 8:
        if one[i] != other[i]:
            return False
        i += 1
        length -= 8
    return length == 0 or (one[i] ^ other[i]) >> (8 - length) == 0


class Route:
    def __init__(self, prefix, length, router, preference, until):
        self.prefix = bytes(prefix)
        self.length = length
        self.router = router  # None: on the link
        self.preference = preference
        self.until = until  # in seconds (see seconds.py)


class Routes:
    def __init__(self, seconds):
        self.now = seconds.now
        self.end = seconds.end
        self.routes = []
        self.redirects = []  # of (destination, hop), the oldest first
        self.turn = 0
        # Slots: is this router known not to answer?  Routes are not what they were.
        self.unreachable = self.nobody
        self.changed = self.nobody

    def nobody(self, about=None):
        return False

    def find(self, prefix, length, router):
        for route in self.routes:
            if route.length == length and route.router == router and route.prefix == prefix:
                return route
        return None

    def learn(self, prefix, length, router, preference, lifetime):
        """A route for so many seconds; 0: no more.  False: there is no room for it."""
        route = self.find(prefix, length, router)
        if lifetime == 0:
            if route:
                self.routes.remove(route)
                self.changed()
            return True
        until = self.end(lifetime)
        if route and route.preference == preference:
            route.until = until
            return True
        if route:
            self.routes.remove(route)
        elif len(self.routes) == ROUTES6 or not self.welcome(router):
            return False
        place = 0
        while place < len(self.routes) and self.before(self.routes[place], length, preference):
            place += 1
        self.routes.insert(place, Route(prefix, length, router, preference, until))
        self.changed()
        return True

    def before(self, route, length, preference):
        return route.length > length or (route.length == length and route.preference >= preference)

    def welcome(self, router):
        """Is there room for one more route of this router?"""
        theirs = len([route for route in self.routes if route.router == router])
        if theirs:
            return theirs < ROUTES_OF_ROUTER
        return router is None or router in self.routers or len(self.routers) < ROUTERS6

    @property
    def routers(self):
        """The routers that routes go through."""
        return list({route.router for route in self.routes if route.router})

    @property
    def default_routers(self):
        """The best first; those that do not answer are among them."""
        return [route.router for route in self.routes if not route.length and route.router]

    def forget_router(self, router):
        """It is none any more (RFC 4861 section 7.2.5)."""
        if [route for route in self.routes if route.router == router]:
            self.routes = [route for route in self.routes if route.router != router]
            self.changed()
        self.redirects = [pair for pair in self.redirects if pair[1] != router]

    def expire(self):
        """Forget what is over.  Returns the seconds to the next end, FOREVER if there is none."""
        now = self.now()
        over = [route for route in self.routes if route.until != FOREVER and route.until <= now]
        for route in over:
            self.routes.remove(route)
        if over:
            self.changed()
        ends = [route.until - now for route in self.routes if route.until != FOREVER]
        return min(ends) if ends else FOREVER

    def clear(self):
        self.routes = []
        self.redirects = []
        self.changed()

    # From above.

    def next_hop(self, destination):
        """The neighbour to send to (RFC 4861 section 5.2), or None: there is no way."""
        if destination[0] == LINK_LOCAL and destination[1] & 0xC0 == 0x80:
            return destination
        for known, hop in self.redirects:
            if known == destination:
                return hop
        return self.first_hop(destination)

    def first_hop(self, destination):
        silent = None
        for route in self.routes:
            if matches(destination, route.prefix, route.length):
                router = route.router
                if router is None:
                    return destination
                if not self.unreachable(router):
                    return router
                if silent is None:
                    silent = []
                silent.append(router)
        if silent is None:
            return None
        # RFC 4861 6.3.6 (2): none is known to answer, so all are tried in turn.
        self.turn += 1
        return silent[self.turn % len(silent)]

    def on_link(self, destination):
        return self.next_hop(destination) == destination

    def redirect(self, destination, hop):
        self.redirects = [pair for pair in self.redirects if pair[0] != destination]
        if len(self.redirects) == REDIRECTS6:
            self.redirects.pop(0)
        self.redirects.append((destination, hop))

    def forget_redirects(self, hop):
        """This neighbour does not answer: back to the router that knew it."""
        self.redirects = [pair for pair in self.redirects if pair[1] != hop]
