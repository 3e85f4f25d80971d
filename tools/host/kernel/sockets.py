"""Sockets: one device for all descriptors, as the event loop sees it.

An owner has `readable()` and `writable()`, which handle what the kernel has said.  Ports below
1024 lie 5300 higher on the host, as ./importos run has them in front of QEMU, unless `--forward`
says otherwise.
"""

import select

from tools.host.machine import LINE

PRIVILEGED = 1024
SHIFT = 5300
EAGAIN = 11
EINTR = 4


def later(result):
    """Whether a system call wants to be made again."""
    return result == -EAGAIN or result == -EINTR


class Sockets:
    line = LINE

    def __init__(self, machine, ports):
        self.poll = machine.metal.poll
        self.log = machine.log
        self.owners = {}
        self.forwards = {}
        for text in ports.split(","):
            if text != "-":
                protocol, host, guest = text.split(":")
                self.forwards[protocol, int(guest)] = int(host)

    def host_port(self, protocol, port):
        """Where the host has a port of the service's."""
        found = self.forwards.get((protocol, port))
        if found is None:
            found = port + SHIFT if 0 < port < PRIVILEGED else port
        return found

    def watch(self, descriptor, owner, events):
        """Ask for these events from now on, and no others; 0: for none."""
        if not events:
            # (A descriptor that is polled for nothing would still say that the peer is gone.)
            self.remove(descriptor)
        elif self.owners.get(descriptor):
            self.poll.modify(descriptor, events)
        else:
            self.owners[descriptor] = owner
            self.poll.register(descriptor, events)

    def remove(self, descriptor):
        if self.owners.pop(descriptor, None):
            self.poll.unregister(descriptor)

    def service(self, budget):
        # A list: owners come and go meanwhile.
        for descriptor, events in list(self.poll.poll(0)):
            owner = self.owners.get(descriptor)
            if owner and events & ~select.POLLOUT:
                owner.readable()
            owner = self.owners.get(descriptor)
            if owner and events & select.POLLOUT:
                owner.writable()
        return False
