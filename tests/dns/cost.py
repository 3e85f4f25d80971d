"""Guest instructions per answer, by kind of question: `python -m tests.dns.cost build/dns/dns.elf`.

The image serves bench.zone; wake-up and halt are included.  See tests/support/instructions.py.
"""

import sys

import dns.message

from tests.support.instructions import Lab

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


def wire(name, kind, payload):
    query = dns.message.make_query(name, kind, use_edns=payload and 0, payload=payload)
    query.flags = 0
    return query.to_wire()


def main(image):
    with Lab(image) as lab:
        lab.first(lab.asker(53, [wire(HOSTS[0], "A", None)]))
        for what, (names, kind, payload) in QUESTIONS.items():
            median, _ = lab.cost(lab.asker(53, [wire(name, kind, payload) for name in names]))
            print(f"{median:8,.0f}  {what}")


if __name__ == "__main__":
    main(sys.argv[1])
