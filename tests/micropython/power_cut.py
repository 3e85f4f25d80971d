"""A power cut at every single write: what a file system on runtime/blocks.py still has afterwards.

    micropython tests/micropython/power_cut.py littlefs|fat SEED

A disk made of a list remembers every sector that is written, and every flush.  A workload of file
operations runs on it once.  Then the power is cut after each write, again and again: everything up
to the last flush is on the disk, and of what was written since any part may be (first all of it in
order, then random choices, as a cache loses them).  Each time the file system is mounted and must
have what it promises:

    littlefs    all that was there when the operation began that the cut interrupted, and of that
                operation all or nothing; a file that is new may be there and empty, as opening it
                to write is an operation of its own
    fat         it mounts; every file that was not being touched is whole

Then a file is written, read, and the file system mounted once more.
"""

import random
import sys

sys.path[:0] = ["."]

import vfs  # noqa: E402

from runtime import machine as running  # noqa: E402
from runtime.blocks import Blocks  # noqa: E402

SECTORS = 512
CHOICES = 3  # random ones per cut


class Loop:
    def wake(self):
        pass


class Machine:
    loop = Loop()

    @staticmethod
    def uptime_ms():
        return 0


running.current = Machine


class Disk:
    block_size = 512
    read_only = False
    volatile = True

    def __init__(self, image):
        self.image = image
        self.sectors = len(image) >> 9
        self.log = []

    def fetch(self, sector, count):
        return bytes(self.image[sector << 9 : (sector + count) << 9])

    def read(self, sector, buffer, done):
        assert len(buffer) % 512 == 0
        buffer[:] = self.image[sector << 9 : (sector << 9) + len(buffer)]
        done(0, buffer)

    def write(self, sector, buffer, done):
        for i in range(0, len(buffer), 512):
            piece = bytes(buffer[i : i + 512])
            at = (sector << 9) + i
            self.image[at : at + 512] = piece
            self.log.append((at, piece))
        done(0, buffer)

    def flush(self, done):
        self.log.append(None)
        done(0, None)

    def patience(self):
        return 1

    def poll(self):
        raise RuntimeError("nothing is under way")


KINDS = {"littlefs": vfs.VfsLfs2, "fat": vfs.VfsFat}


def mounted(kind, image):
    blocks = Blocks(Disk(image), True)
    assert blocks.kind == kind, blocks.kind
    return KINDS[kind](blocks)


def save(files, path, data, mode="w"):
    file = files.open(path, mode + "b")
    for i in range(0, len(data), 300):
        file.write(data[i : i + 300])
    file.close()


def load(files, path):
    file = files.open(path, "rb")
    data = file.read()
    file.close()
    return data


def tree(files, at="", touched=()):
    """{path: content} of all files but those in `touched`, {path: None} of folders."""
    found = {}
    for name, kind, *_ in files.ilistdir(at or "/"):
        path = at + "/" + name
        if path in touched:
            continue
        if kind == 0x4000:
            found[path] = None
            found.update(tree(files, path, touched))
        else:
            found[path] = load(files, path)
    return found


def workload(dice):
    """Operations: (what it does to the model, what it does to the file system, what it touches)."""

    def put(path, data):
        return (
            lambda model: model.update({path: data}),
            lambda files: save(files, path, data),
            (path,),
        )

    def add(path, data):
        return (
            lambda model: model.update({path: model.get(path, b"") + data}),
            lambda files: save(files, path, data, "a"),
            (path,),
        )

    def move(old, new):
        return (
            lambda model: model.update({new: model.pop(old)}),
            lambda files: files.rename(old, new),
            (old, new),
        )

    def drop(path):
        return lambda model: model.pop(path), lambda files: files.remove(path), (path,)

    def folder(path):
        return lambda model: model.update({path: None}), lambda files: files.mkdir(path), (path,)

    def some(size):
        return bytes([dice.getrandbits(8) for _ in range(size)])

    yield put("/small", b"hello")
    yield put("/large", some(9000))
    yield folder("/d")
    for i in range(4):
        yield put(f"/d/{i}", some(700 * i))
    yield put("/small", b"another")
    yield add("/large", some(5000))
    yield move("/d/2", "/d/moved")
    yield move("/d/3", "/up")
    yield drop("/d/1")
    yield put("/large", some(3000))
    for i in range(30):
        yield add("/journal", b"line %d of a journal that grows\n" % i)
    yield put("/new", some(2000))
    yield move("/new", "/small")  # in place of what was there
    yield folder("/d/e")
    yield put("/d/e/last", some(100))
    yield drop("/up")


def record(kind, dice):
    """Run the workload: image before, log, [(place in the log, model, what comes next touches)]."""
    image = bytearray(512 * SECTORS)
    blocks = Blocks(Disk(image), True)
    KINDS[kind].mkfs(blocks)
    before = bytearray(image)
    disk = Disk(image)
    files = KINDS[kind](Blocks(disk, True))
    model, states = {}, []
    for apply, act, touched in workload(dice):
        states.append((len(disk.log), dict(model), touched))
        act(files)
        apply(model)
    states.append((len(disk.log), dict(model), ()))
    assert tree(files) == model
    return before, disk.log, states


def check(kind, image, states, flushed, cut):
    """Whether the file system on the image is one that may be there."""
    # The operations that had ended, as far as a flush followed, are done; up to one was begun.
    done = max([i for i, state in enumerate(states) if state[0] <= flushed])
    begun = max([i for i, state in enumerate(states) if state[0] <= cut])
    files = mounted(kind, image)
    if kind == "littlefs":
        found = tree(files)
        allowed = [model for _, model, _ in states[done : begun + 2]]
        for _, model, touched in states[done : begun + 1]:
            for path in touched:
                if path not in model:
                    allowed.append(dict(model))
                    allowed[-1][path] = b""
        assert found in allowed, (done, begun, sorted(found))
    else:
        touched = [path for state in states[done : begun + 1] for path in state[2]]
        found = tree(files, "", touched)
        for path, data in states[done][1].items():
            inside = any(path.startswith(other + "/") for other in touched)
            if path not in touched and not inside:
                assert found.get(path, 0) == data, (done, begun, path)
    save(files, "/after", b"the cut")
    assert load(mounted(kind, image), "/after") == b"the cut"


def main(kind, seed):
    dice = random
    dice.seed(seed)
    before, log, states = record(kind, dice)
    image = bytearray(before)  # up to the last flush
    waiting = []
    flushed = cuts = 0
    for cut in range(len(log) + 1):
        check(kind, replay(image, waiting), states, flushed, cut)
        cuts += 1
        if waiting:
            for _ in range(CHOICES):
                chosen = [entry for entry in waiting if dice.getrandbits(1)]
                check(kind, replay(image, chosen), states, flushed, cut)
                cuts += 1
        if cut == len(log):
            break
        if log[cut] is None:
            image = replay(image, waiting)
            waiting = []
            flushed = cut + 1
        else:
            waiting.append(log[cut])
    writes = len([entry for entry in log if entry])
    print(f"{kind}: {writes} writes, {len(log) - writes} flushes, {cuts} cuts")


def replay(image, writes):
    made = bytearray(image)
    for at, piece in writes:
        made[at : at + 512] = piece
    return made


main(sys.argv[1], int(sys.argv[2]))
