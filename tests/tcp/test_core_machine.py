"""The machine itself: connections come and go by the thousand, and the heap stays as it is.

A million: `TCP_CHURN=1000000 ./importos test tests/tcp/test_core_machine.py`, about an hour.
"""

import ast
import os
import re
import socket
import time

import pytest

from tests.tcp import cost

pytestmark = [pytest.mark.vm, pytest.mark.timeout(7200)]

CHURN = int(os.environ.get("TCP_CHURN", "3000"))
REPORT = re.compile(r"churn (\d+) (\d+) (\{.*?\}) (\{.*\})")


def reports(text):
    """(connections so far, heap in use, tables, drops) of each report."""
    found = [match.groups() for match in REPORT.finditer(text)]
    return [(int(n), int(heap), *map(ast.literal_eval, rest)) for n, heap, *rest in found]


def test_connections_come_and_go_and_the_heap_is_flat(image):
    built = image("tests/tcp/services/churn.py")
    with cost.TcpLab(next(built.glob("*.elf")), icount=None) as lab:

        def churn():
            for number in range(CHURN):
                tcp = socket.create_connection((cost.ADDRESS, 80), 20)
                tcp.sendall(cost.REQUEST)
                assert cost.read(tcp, cost.ANSWER)
                if number & 1:
                    # Otherwise our end closes while the peer's is open.
                    tcp.shutdown(socket.SHUT_WR)
                    assert tcp.recv(10) == b""
                tcp.close()

        for setting in (
            "tcp_tw_reuse=1",
            "ip_local_port_range=1024 65000",
            "tcp_max_tw_buckets=99",
        ):
            lab.namespace.run("sysctl", "-qw", "net.ipv4." + setting, check=False)
        lab.namespace.inside(churn)
        before = len(reports(lab.machine.text))
        deadline = time.monotonic() + 20
        while len(reports(lab.machine.text)) < before + 2:
            assert time.monotonic() < deadline, lab.machine.text
            time.sleep(0.2)
        every = reports(lab.machine.text)
    accepted, heap, tables, drops = every[-1]
    assert accepted == CHURN
    assert not any(tables.values()), tables
    assert drops == {}
    warm = next(row for row in every if row[0] > CHURN // 10)
    assert heap <= warm[1] + 1000, every
