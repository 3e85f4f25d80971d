"""The module `select` of a hijacked program: poll and select over our sockets and the kernel's.

Ours are polled as in the machine (runtime/library/select.py).  Descriptors of the kernel are looked
at without waiting; the thread of the stack waits for them meanwhile, beside its device.
"""

import select as kernel
import types

from tools.hijack.sockets import FIRST, table


def number(thing):
    return thing if isinstance(thing, int) else thing.fileno()


def make(stack, library):
    """The module; `library`: runtime/library's select."""
    module = types.ModuleType("select")
    for name in ("POLLIN", "POLLOUT", "POLLERR", "POLLHUP", "POLLNVAL", "POLLPRI", "error"):
        setattr(module, name, getattr(kernel, name))

    class poll:
        def __init__(self):
            self.masks = {}
            self.ours = library.poll()
            self.kernels = kernel.poll()

        def register(self, thing, mask=5):
            one = number(thing)
            self.masks[one] = mask
            if one >= FIRST:
                with stack:
                    self.ours.register(table[one], mask)
            else:
                self.kernels.register(one, mask)

        def modify(self, thing, mask):
            if number(thing) not in self.masks:
                raise FileNotFoundError(2, "not registered")
            self.register(thing, mask)

        def unregister(self, thing):
            one = number(thing)
            del self.masks[one]
            if one < FIRST:
                self.kernels.unregister(one)
                return
            with stack:
                for entry in list(self.ours.entries.values()):
                    if table.get(one, entry.thing) is entry.thing:
                        self.ours.unregister(entry.thing)
                        break

        def poll(self, timeout=None):
            timeout = -1 if timeout is None or timeout < 0 else int(timeout + 0.999)
            with stack:
                if not self.look() and timeout:
                    for one, mask in self.masks.items():
                        if one < FIRST:
                            stack.watch(one, mask)
                    wait(self.look, timeout)
                return self.look()

        def look(self):
            names = {id(sock): one for one, sock in table.items()}
            found = [(names.get(id(sock), -1), flags) for sock, flags in self.ours.look()]
            return [pair for pair in found if pair[0] >= 0] + self.kernels.poll(0)

    from runtime.waiting import wait

    def select(readers, writers, others, timeout=None):
        watch, masks = poll(), {}
        for things, flag in ((readers, 1), (writers, 4), (others, 2)):
            for thing in things:
                masks[number(thing)] = masks.get(number(thing), 0) | flag
        for one, mask in masks.items():
            watch.register(one, mask)
        ready = dict(watch.poll(None if timeout is None else timeout * 1000))
        for one in masks:
            watch.unregister(one)

        def those(things, flags):
            return [thing for thing in things if ready.get(number(thing), 0) & flags]

        return those(readers, 1 | 8 | 16), those(writers, 4 | 8), those(others, 2)

    module.poll, module.select = poll, select
    return module
