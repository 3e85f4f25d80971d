"""What can be done with files, said on the console: for tests/vm/test_files.py."""

import os
import sys

import vfs


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


def imports(machine):
    print("path", sys.path)
    with open("stray.py", "w") as file:
        file.write("print('not from a disk')")
    try:
        __import__("str" + "ay")
    except ImportError:
        print("no stray import")
