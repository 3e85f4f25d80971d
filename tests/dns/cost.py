"""Guest instructions per answer, by kind of question: `python -m tests.dns.cost build/dns/dns.elf`.

The image serves bench.zone; wake-up and halt are included.  See tests/support/instructions.py.
"""

import socket
import struct
import sys

import dns.message

from tests.support.instructions import ADDRESS, Lab

HOSTS = [f"host{97 * n % 10_000}.bench.example" for n in range(200)]
QUESTIONS = {  # what: names, type, EDNS
    "address": (HOSTS, "A", None),
    "address, EDNS": (HOSTS, "A", 1232),
    "address, mixed case": ([name.replace("host", "hOsT") for name in HOSTS], "A", None),
    "no such data": (HOSTS, "HTTPS", None),
    "no such name": (["nosuchname.bench.example"], "A", None),
    "no such name, three labels down": (["a.b.nosuchname.bench.example"], "A", None),
    "SOA": (["bench.example"], "SOA", None),
    "NS, with an address": (["bench.example"], "NS", None),
    "refused": (["www.example.com"], "A", None),
}
DIG = ("dig", f"@{ADDRESS}", "+tcp", "+tries=1", "+timeout=1", HOSTS[0])


def wire(name, kind, payload):
    query = dns.message.make_query(name, kind, use_edns=payload and 0, payload=payload)
    query.flags = 0
    return query.to_wire()


def stream_asker(lab, wires):
    """ask() over one TCP connection."""
    stream = lab.namespace.socket(kind=socket.SOCK_STREAM)
    stream.connect((ADDRESS, 53))
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    number = 0

    def ask():
        nonlocal number
        number += 1
        data = wires[number % len(wires)]
        stream.send(struct.pack(">H", len(data)) + data)
        return len(stream.recv(4096)) > len(data)

    return ask


def main(image):
    with Lab(image) as lab:
        lab.first(lab.asker(53, [wire(HOSTS[0], "A", None)]))
        for what, (names, kind, payload) in QUESTIONS.items():
            median, _ = lab.cost(lab.asker(53, [wire(name, kind, payload) for name in names]))
            print(f"{median:8,.0f}  {what}")
        if lab.namespace.run(*DIG, check=False).returncode == 0:
            wires = [wire(name, "A", None) for name in HOSTS]
            median, _ = lab.cost(stream_asker(lab, wires))
            print(f"{median:8,.0f}  address, over TCP, one connection")


if __name__ == "__main__":
    main(sys.argv[1])
