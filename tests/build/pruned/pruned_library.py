"""Modules written in C, which call methods of what they are given."""

import io
import json
import re
import struct


class Out(io.IOBase):
    def __init__(self):
        self.text = b""

    def write(self, data):
        self.text += bytes(data)
        return len(data)


class Into(io.IOBase):
    def __init__(self, data):
        self.data = data

    def readinto(self, buffer):
        part, self.data = self.data[: len(buffer)], self.data[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)

    def ioctl(self, request, argument):
        return 0


class Fields:
    def __init__(self, **fields):
        for name, value in fields.items():
            setattr(self, name, value)


def start(machine):
    print("<<<")
    out = Out()
    json.dump({"a": [1, None, 2.5]}, out)
    print(out.text, json.load(Into(b'{"width": 3}')), Fields(**json.loads('{"width": 3}')).width)
    print(re.sub(r"(\w)(\d)", lambda match: match.group(2) + match.group(1), "a1 b2"))
    print(re.compile("[ ,]+").split("a, b c"), struct.unpack("<Hb", struct.pack("<Hb", 513, -1)))
    with io.StringIO("one\ntwo\n") as lines:
        print([line.rstrip() for line in lines])
    print(">>>")
    if machine:
        machine.stop()
