"""DHCPINFORM: the address is ours, the server only tells about the network.  RFC 2131 3.4.

    Inform(inet.first)        name servers, time servers, search list, captive portal, as with DHCP

It asks when it is made and when the link comes up, four times at most; no answer changes nothing.
Above: services with a static address.  Below: dhcp.py.
"""

from net.dhcp.client import EVERYBODY, INIT, TRIES, Dhcp
from net.dhcp.facts import facts
from net.dhcp.message import ACK, INFORM

INFORMING = "INFORMING"


class Inform(Dhcp):
    def begin(self):
        self.on = {(INFORMING, ACK): self.informed}
        self.when_over[INFORMING] = self.ask
        self.new_transaction()
        self.enter(INFORMING)
        self.ask()

    def ask(self):
        if self.tries == TRIES or not self.inet.address:
            self.enter(INIT)
            return
        self.send(INFORM, EVERYBODY, ciaddr=self.inet.address)
        self.back_off()

    def informed(self, message, options):
        known = facts(options)
        self.enter(INIT)
        self.inet.stack.learn(self, known)
        self.inet.stack.configured()
