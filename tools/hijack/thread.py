"""The stack in a thread of its own, beside the threads of a CPython program.

    stack = Stack(descriptor, words)    the machine and its thread; waits for the address
    with stack: ...                     nobody else touches the stack meanwhile

One lock: the thread of the stack holds it while a turn of the event loop runs, and lets go of it
while it polls; a thread of the program holds it while it calls a socket, and lets go of it while
that blocks (`machine.loop.block`).  Whoever leaves something to be done kicks the poll.
"""

import os
import select
import threading

from net.dhcp import Dhcp
from net.dual import Dual
from net.tcp import Tcp
from net.udp import Udp
from tools.host import machine as process
from tools.host.tap import TapNic

MAC = b"\x52\x54\0\0\0\2"
LAST_WORDS_MS = 2000
UNDER_WAY = ("FIN-WAIT-1", "CLOSING", "LAST-ACK", "CLOSE-WAIT", "ESTABLISHED")
HALF, MASK = 0x20000000, 0x3FFFFFFF


class Stack:
    def __init__(self, descriptor, words):
        self.changed = threading.Condition(threading.RLock())
        self.machine = machine = process.make(" ".join(["log=warning", *words]))
        self.poll = machine.metal.poll
        self.kicker = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.poll.register(self.kicker, select.POLLIN)
        self.foreign = set()  # descriptors of the kernel that a poll of the program waits for
        machine.nics.append(TapNic(descriptor, MAC, self.poll))
        machine.loop.add(machine.nic)
        machine.loop.block = self.block
        machine.loop.wake = self.wake
        machine.loop.wait = self.wait
        self.inet = Dual(machine, udp=Udp, tcp=Tcp, configure=Dhcp)
        self.polling = False
        self.thread = threading.Thread(target=self.run, name="importos", daemon=True)
        self.thread.start()

    # The program's threads.

    def __enter__(self):
        self.changed.acquire()

    def __exit__(self, *_):
        if self.polling:
            self.polling = False
            os.eventfd_write(self.kicker, 1)
        self.changed.release()

    def block(self, ms=-1):
        if self.polling:
            self.polling = False
            os.eventfd_write(self.kicker, 1)
        self.changed.wait(None if ms < 0 else ms / 1000)

    def wake(self):
        self.changed.notify_all()

    def watch(self, descriptor, mask):
        """Let whoever blocks look again once a descriptor of the kernel is ready."""
        self.foreign.add(descriptor)
        self.poll.register(descriptor, mask)

    def linger(self):
        """The program ends: what it has sent shall still arrive."""
        with self:
            end = self.machine.timers.now() + LAST_WORDS_MS
            while (left := end - self.machine.timers.now()) > 0 and self.busy():
                self.changed.wait(min(left, 20) / 1000)

    def busy(self):
        """Whether a connection that the program has closed is still on its way."""
        return any(one.state in UNDER_WAY for one in self.inet.tcp.connections)

    # The thread of the stack.

    def run(self):
        with self.changed:
            self.machine.loop.run()

    def wait(self, seen, deadline):
        """Instead of Metal.wait: others may go on while this one polls."""
        left = -1
        if deadline >= 0:
            left = max(((deadline - process.ticks_ms() + HALF) & MASK) - HALF, 0)
        self.polling = True
        self.changed.release()
        try:
            ready = self.poll.poll(left)
        finally:
            self.changed.acquire()
        self.polling = False
        for descriptor, _ in ready:
            if descriptor == self.kicker:
                os.eventfd_read(self.kicker)
            elif descriptor in self.foreign:
                self.foreign.remove(descriptor)
                self.poll.unregister(descriptor)
                self.wake()
        self.machine.metal.count(process.LINE if ready else process.TIMER)
