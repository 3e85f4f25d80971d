"""What an application with microdot costs: guest instructions per request, in the machine.

    PYTHONPATH=tools/cpython build/venv/bin/python -m tests.api.cost

One request at a time over TAP, each on a connection of its own (microdot closes them), and echoes
over one WebSocket: the median of single ones, wake-up and halt included.
"""

import socket
import sys

from tests.support import images
from tests.support.instructions import ADDRESS, Lab

UPGRADE = (
    b"GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n\r\n"
)


def main():
    elf = images.build("microdot_app") / "microdot_app.elf"
    with Lab(elf, memory="32M") as lab:

        def connect():
            sock = lab.namespace.socket(kind=socket.SOCK_STREAM)
            sock.connect((ADDRESS, 80))
            return sock

        def fetch(path):
            try:
                sock = connect()
            except ConnectionRefusedError:
                return False
            sock.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            answer = b""
            while piece := sock.recv(65536):
                answer += piece
            sock.close()
            lab.namespace.files.remove(sock)
            return answer

        lab.machine.wait_for(ADDRESS)
        while not fetch("/"):
            pass
        for path in ("/", "/api/notes"):
            print(f"GET {path:12} {lab.cost(lambda path=path: fetch(path), 50)[0]:>10,.0f}")
        sock = connect()
        sock.sendall(UPGRADE)
        sock.recv(1000)

        def echo():
            sock.sendall(b"\x81\x85\0\0\0\0hello")
            return sock.recv(100) == b"\x81\x05hello"

        print(f"WebSocket echo   {lab.cost(echo, 50)[0]:>10,.0f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
