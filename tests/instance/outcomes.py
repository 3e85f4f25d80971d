"""What comes of data from outside, as text: the same on CPython and on MicroPython.

micropython outcomes.py ROOT FILE       FILE: lines KIND LENGTH, data behind each; prints lines
"""

import sys

if __name__ == "__main__":

    class Metal:
        """No port is touched here."""

        in8 = out16 = out32 = memory = None

    sys.path.insert(0, sys.argv[1])
    sys.modules["metal"] = Metal

import json

from net.get import Response
from runtime.instance import network, userdata, volume
from runtime.platform import smbios

TROUBLE = (ValueError, OSError, IndexError)


class Disk:
    name, block_size = "disk0", 512

    def __init__(self, data):
        self.data = data
        self.sectors = len(data) >> 9

    first = None

    def ask(self, request):
        return 5  # nobody waits

    def fetch(self, sector, count):
        return self.data[sector << 9 : (sector + count) << 9]


class Nic:
    name, mac = "eth0", b"\x52\x54\x00\x12\x34\x56"


def shown(value):
    if isinstance(value, dict):
        return "{" + ",".join([k + "=" + shown(value[k]) for k in sorted(value)]) + "}"
    if isinstance(value, (bytes, bytearray)):
        return "".join([f"{byte:02x}" for byte in value])
    if isinstance(value, str):
        return shown(value.encode())
    if isinstance(value, (list, tuple)):
        return "[" + ",".join([shown(item) for item in value]) + "]"
    return str(value)


def of_user(data):
    return userdata.parse(data)


def of_volume(data):
    found = list(volume.find(Disk(data)))
    found = found and found[0]
    return found and [found.label] + [found.read(name) for name in ("meta-data", "a/long name.txt")]


def of_response(data):
    response = Response(500)
    for at in range(0, len(data), 7):
        if response.feed(data[at : at + 7]):
            break
    else:
        response.end()
    return response.status, response.body


def of_network(data):
    # (What is wrong with a number is said in other words by each interpreter.)
    found, complaints = network.read(json.loads(str(data, "utf-8")), [Nic()])
    return found, len(complaints)


def of_smbios(data):
    found = smbios.parse(data)
    return found and [found.manufacturer, found.product, found.serial, found.uuid]


KINDS = {
    "user": of_user,
    "volume": of_volume,
    "response": of_response,
    "network": of_network,
    "smbios": of_smbios,
}


def outcome(kind, data):
    try:
        return shown(KINDS[kind](data))
    except TROUBLE:
        return "trouble"


if __name__ == "__main__":
    with open(sys.argv[2], "rb") as cases:
        while True:
            line = cases.readline()
            if not line:
                break
            kind, length = line.split()
            print(outcome(str(kind, "ascii"), cases.read(int(length))))
