"""`select`: wait until one of several sockets or streams is ready.

Who can be ready says when it may have become so: a socket (`polls`, see _endpoints.py) puts its
entries on the list of each poll that watches it, and only these are looked at.  So a call costs
what is ready, however many are registered, and an idle machine halts.  An entry stays on the list
until it is found not ready: level-triggered, as poll(2) is.

Any other object with MicroPython's `ioctl(3, flags)` may be registered, asyncio.ThreadSafeFlag for
one.  It cannot say when it changes: it is asked once per turn of the event loop.
Left out: epoll, kqueue; descriptors that are numbers.
"""

from micropython import const

from runtime.waiting import failure, machine, wait

POLLIN = const(1)
POLLOUT = const(4)
POLLERR = const(8)
POLLHUP = const(16)
POLLNVAL = const(32)
_ALWAYS = const(56)  # reported whether asked for or not
_ONE_SHOT = const(1)
_IOCTL_POLL = const(3)
_NO_ENTRY = const(2)


class _Entry:
    """One object in one poll."""

    def __init__(self, poll, thing, mask):
        self.poll = poll
        self.thing = thing
        self.mask = mask
        self.hot = False  # it is on the list of those to look at

    def ready(self):
        mask = self.mask | _ALWAYS
        polls = getattr(self.thing, "polls", None)
        if polls is None:
            flags = self.thing.ioctl(_IOCTL_POLL, self.mask)
            return flags & mask if flags >= 0 else flags
        return self.thing.ready() & mask

    def changed(self):
        """The object may have become ready."""
        if not self.hot:
            self.hot = True
            self.poll.hot.append(self)


class poll:
    """poll() and ipoll() allocate nothing as long as nobody is ready."""

    def __init__(self):
        self.entries = {}
        self.hot = []
        self.asked = []  # entries that have to be asked, turn by turn
        self.found = []
        self.looking = self.look

    def register(self, thing, mask=POLLIN | POLLOUT):
        if id(thing) in self.entries:
            return self.modify(thing, mask)
        polls = getattr(thing, "polls", None)
        if polls is None and not hasattr(thing, "ioctl"):
            raise failure(22)  # EINVAL: it cannot say whether it is ready
        entry = _Entry(self, thing, mask)
        self.entries[id(thing)] = entry
        if polls is None:
            self.asked.append(entry)
            _turns.watch(self)
        else:
            polls.append(entry)
        entry.changed()

    def modify(self, thing, mask):
        entry = self.entries.get(id(thing))
        if entry is None:
            raise failure(_NO_ENTRY)
        entry.mask = mask
        entry.changed()

    def unregister(self, thing):
        entry = self.entries.pop(id(thing), None)
        if entry is None:
            raise failure(_NO_ENTRY)
        if entry in self.asked:
            self.asked.remove(entry)
            if not self.asked:
                _turns.forget(self)
        elif entry in thing.polls:
            thing.polls.remove(entry)
        if entry.hot:
            self.hot.remove(entry)

    def poll(self, timeout=-1):
        """[(object, flags)] of those that are ready; [] after `timeout` ms (-1, None: no limit)."""
        return list(self.ipoll(timeout))

    def ipoll(self, timeout=-1, flags=0):
        """The same to be iterated before the next call; flags 1: report each entry once."""
        if not self.look() and timeout != 0:
            wait(self.looking, -1 if timeout is None else int(timeout))
        if flags & _ONE_SHOT:
            for thing, _ in self.found:
                self.entries[id(thing)].mask = 0
        return self.found

    def look(self):
        """Collect those that are ready."""
        for entry in self.asked:
            entry.changed()
        if self.found:
            self.found = []
        if self.hot:
            hot, self.hot = self.hot, []
            error = 0
            for entry in hot:
                entry.hot = False
                flags = entry.ready()
                if flags:
                    entry.changed()
                    if flags < 0:
                        error = -flags  # a stream's ioctl says what is wrong
                    else:
                        self.found.append((entry.thing, flags))
            if error:
                raise failure(error)
        return self.found


class _Turns:
    """Lets polls with objects that have to be asked look again after every turn."""

    def __init__(self):
        self.polls = []
        self.loop = None

    def watch(self, poll):
        if poll not in self.polls:
            self.polls.append(poll)
        loop = machine().loop
        if self.loop is not loop:
            self.loop = loop
            loop.every_turn(self.turn)

    def forget(self, poll):
        self.polls.remove(poll)

    def turn(self):
        for poll in self.polls:
            for entry in poll.asked:
                if entry.ready():
                    self.loop.wake()
                    return


_turns = _Turns()


def select(readers, writers, others, timeout=None):
    """Three lists of those that are ready; `timeout` in seconds, None: no limit."""
    masks = {}
    for things, flags in ((readers, POLLIN), (writers, POLLOUT), (others, 0)):
        for thing in things:
            masks[id(thing)] = (thing, flags | masks.get(id(thing), (None, 0))[1])
    watch = poll()
    for thing, mask in masks.values():
        watch.register(thing, mask)
    try:
        ready = watch.poll(-1 if timeout is None else int(timeout * 1000))
    finally:
        for thing, _ in masks.values():
            watch.unregister(thing)
    flags = {id(thing): found for thing, found in ready}
    return (
        [thing for thing in readers if flags.get(id(thing), 0) & ~POLLOUT],
        [thing for thing in writers if flags.get(id(thing), 0) & ~POLLIN],
        [thing for thing in others if flags.get(id(thing), 0) & POLLERR],
    )
