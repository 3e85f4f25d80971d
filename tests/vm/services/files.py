"""Files on a disk: for tests/vm/test_files.py."""

import os


def start(machine):
    try:
        with open("count") as file:
            count = int(file.read())
    except OSError:
        count = 0
    with open("count", "w") as file:
        file.write(str(count + 1))
    print("count", count + 1, os.listdir("/"), os.statvfs("/")[:3])
    machine.stop()
