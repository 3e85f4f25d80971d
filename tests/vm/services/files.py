"""What can be done with files, said on the console: for tests/vm/test_files.py."""

import gc
import os
import sys

import vfs

from runtime.blocks import Blocks


def start(machine):
    print("files", sorted(os.listdir("/")))
    try:
        with open("count") as file:
            count = int(file.read())
    except OSError:
        count = 0
    with open("count", "w") as file:
        file.write(str(count + 1))
    print("count", count + 1)
    work = machine.settings.get("work")
    if work:
        globals()[work](machine)
    machine.stop()


def everything(machine):
    os.mkdir("d")
    with open("d/one", "wb") as file:
        file.write(bytes(range(256)) * 100)
        file.seek(1000)
        file.write(b"hello")
    with open("d/one", "rb") as file:
        data = file.read()
    assert len(data) == 25600 and data[1000:1005] == b"hello"
    with open("d/one", "ab") as file:
        file.write(b"end")
    assert os.stat("d/one")[6] == 25603
    os.rename("d/one", "d/two")
    assert [entry[0] for entry in os.ilistdir("d")] == ["two"]
    with open("d/lines", "w") as file:
        for i in range(1000):
            file.write(f"line {i}\n")
    with open("d/lines") as file:
        assert list(file) == [f"line {i}\n" for i in range(1000)]
    os.remove("d/two")
    os.remove("d/lines")
    os.rmdir("d")
    try:
        open("d/two").close()
    except OSError as error:
        print("missing", error.args[0])
    size, _, total, free = os.statvfs("/")[:4]
    print("room", size * total, free <= total)


def meanwhile(machine):
    """Timers go on while a file is written; one that uses files then is told so."""
    ticks = []
    errors = set()

    def tick():
        ticks.append(1)
        timer.start(1)
        try:
            os.stat("count")
        except OSError as error:
            errors.add(error.args[0])

    timer = machine.timers.timer(tick)
    timer.start(1)
    with open("big", "wb") as file:
        for _ in range(200):
            file.write(bytes(5000))
    assert os.stat("big")[6] == 1000000
    timer.stop()
    print("ticks", len(ticks) > 5, "errors", sorted(errors))


def format(machine):
    for kind in (vfs.VfsFat, vfs.VfsLfs2):
        vfs.umount("/")
        kind.mkfs(machine.disks[0].block_device())
        vfs.mount(machine.disks[0].block_device(), "/")
        with open("made", "w") as file:
            file.write("by " + repr(kind))
        with open("made") as file:
            print(file.read())


def full(machine):
    try:
        with open("big", "wb") as file:
            while True:
                file.write(bytes(65536))
    except OSError as error:
        print("full", error.args[0])


def stopped(machine):
    """The machine is being stopped while a file is written: the operation ends all the same."""
    machine.timers.timer(machine.stop).start(5)
    file = open("log", "wb")  # noqa: SIM115
    try:
        while True:
            file.write(bytes(4096))
            machine.loop.block(0)
    except SystemExit:
        file.write(b"the last words")
        file.close()
        print("closed", os.stat("log")[6] & 4095)
        raise


def silent(machine):
    """The disk does not answer, then it does: the test makes it so at the right lines."""
    Blocks.limit = 1500
    ticks = []

    def tick():
        ticks.append(1)
        timer.start(50)

    timer = machine.timers.timer(tick)
    file = open("kept", "w")  # noqa: SIM115
    print("silence")
    machine.loop.block(1500)
    tick()
    attempt("write", lambda: file.write("x" * 10000), machine)
    print("ticks", len(ticks) > 10)
    attempt("again", lambda: os.stat("count"), machine)
    if machine.settings.get("end"):
        return  # silent to the end
    print("speak")
    while attempt("", lambda: open("more", "w").close(), machine):
        machine.loop.block(100)
    attempt("later", lambda: open("other", "w").close(), machine)
    attempt("close", file.close, machine)


def attempt(name, do, machine):
    """The errno of what is done, and whether it took long."""
    since = machine.uptime_ms()
    error = 0
    try:
        do()
    except OSError as failure:
        error = failure.args[0]
    if name:
        print(name, error, "late" if machine.uptime_ms() - since > 1000 else "soon")
    return error


def left(machine):
    """What was opened and never closed."""
    global log
    log = open("log", "w")  # noqa: SIM115
    log.write("all of it")
    open("other", "w").write("and this")  # noqa: SIM115


def names(machine):
    os.mkdir("a folder")
    with open("a folder/a name that is long.text", "w") as file:
        file.write("by the guest")
    with open("/a folder/A NAME that is long.text") as file:
        print(file.read())


def swallowed(machine):
    """A folder that is moved into itself."""
    os.mkdir("d")
    open("d/kept", "w").close()
    for old, new in (("d", "d/e"), ("/d", "d/e"), ("d/", "/d/e/"), ("d", "de")):
        attempt("moved", lambda old=old, new=new: os.rename(old, new), machine)
    print("there", os.listdir("de"))


def shown(machine):
    for name in ("log", "other"):
        with open(name) as file:
            print(name, file.read())


def collected(machine):
    """Files that nobody knows any more, while an operation waits for the disk."""

    def tick():
        gc.collect()
        timer.start(1)

    timer = machine.timers.timer(tick)
    timer.start(1)
    for i in range(12):
        with open(f"some{i}", "w") as file:
            file.write("x" * 100)
        open(f"some{i}").read(1)  # noqa: SIM115
    timer.stop()
    for i in range(12):
        with open(f"some{i}") as file:
            assert file.read() == "x" * 100
    print("collected")


def hungry(machine):
    """No memory in the midst of an operation; then there is."""
    move = Blocks.move
    Blocks.move = lambda *arguments: bytearray(1 << 30)
    attempt("hungry", lambda: open("a", "w").close(), machine)
    Blocks.move = move
    attempt("fed", lambda: open("a", "w").close(), machine)


def unmounted(machine):
    file = open("kept", "w")  # noqa: SIM115
    file.write("whole")
    blocks = machine.disks[0].block_device()
    vfs.umount("/")
    attempt("unmounted", lambda: os.stat("kept"), machine)
    vfs.mount(blocks, "/")
    try:
        file.write("more")
        file.flush()
        print("written to what is gone")
    except (OSError, ValueError):
        pass
    with open("kept") as file:
        print("kept", file.read())


def imports(machine):
    print("path", sys.path)
    with open("stray.py", "w") as file:
        file.write("print('not from a disk')")
    try:
        __import__("str" + "ay")
    except ImportError:
        print("no stray import")
