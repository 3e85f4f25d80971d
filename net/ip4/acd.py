"""Address conflict detection: is an address free, before we use it?  RFC 5227 section 2.1.

    acd = Acd(interface)
    acd.check(address, then)      then(free) is called, after four to seven seconds if it is

Three probes that tell nothing about us, a second or two apart, and a moment to listen.  Whoever
answers, or probes for the same address, has it.
What happens once the address is in use (defence, section 2.4) is arp's.
"""

from micropython import const

from net.ip4.arp import BROADCAST, NOBODY, REQUEST

# RFC 5227 section 1.1.
PROBE_WAIT_MS = const(1_000)
PROBES = const(3)
PROBE_MIN_MS = const(1_000)
PROBE_MAX_MS = const(2_000)
ANNOUNCE_WAIT_MS = const(2_000)


class Acd:
    def __init__(self, interface):
        self.arp = interface.arp
        self.random = interface.random
        self.timer = interface.timers.timer(self.probe)
        self.then = None

    def check(self, address, then):
        self.then = then
        self.left = PROBES
        self.arp.candidate = bytes(address)
        self.arp.candidate_taken = self.taken
        self.timer.start(self.random.bits(16) * PROBE_WAIT_MS >> 16)

    def probe(self):
        if self.left == 0:
            self.finish(True)
            return
        self.arp.send(REQUEST, BROADCAST, NOBODY, NOBODY + b"\0\0", self.arp.candidate)
        self.left -= 1
        if self.left:
            span = PROBE_MAX_MS - PROBE_MIN_MS
            self.timer.start(PROBE_MIN_MS + (self.random.bits(16) * span >> 16))
        else:
            self.timer.start(ANNOUNCE_WAIT_MS)

    def taken(self, mac):
        self.finish(False)

    def finish(self, free):
        self.stop()
        self.then(free)

    def stop(self):
        """Nobody wants to know any more."""
        self.timer.stop()
        self.arp.candidate = None
