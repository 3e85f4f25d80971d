"""HTTP clients for a Lab (instructions.py): ask() makes one request and wants the right answer.

    getter(lab, "/")         on one connection that stays
    visitor(lab, "/")        on a new connection each time, which the client closes

MeteredWeb is the server whose heap is watched (metered_web.py).
"""

import socket
import time

from tests.support import images, load
from tests.support.instructions import ADDRESS, MAC, Lab

REQUEST = "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n"


def request(path, host=ADDRESS):
    return REQUEST.format(path=path, host=host).encode()


def read_answer(client):
    """The head and the body of one answer."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = client.recv(65536)
        if not piece:
            return data, b""
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    length = int(fields.get(b"content-length", 0))
    while len(body) < length:
        piece = client.recv(65536)
        if not piece:
            break
        body += piece
    return head, body


def connect(lab, timeout, port=80):
    client = lab.namespace.socket(kind=socket.SOCK_STREAM)
    client.settimeout(timeout)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.connect((ADDRESS, port))
    return client


def getter(lab, path="/", timeout=2):
    client = connect(lab, timeout)

    def ask():
        client.send(request(path))
        return read_answer(client)[0].startswith(b"HTTP/1.1 200 ")

    return ask


def visitor(lab, path="/", timeout=2):
    def ask():
        try:
            with connect(lab, timeout) as client:
                client.send(request(path))
                right = read_answer(client)[0].startswith(b"HTTP/1.1 200 ")
        except OSError:
            return False
        finally:
            lab.namespace.files.pop()
        time.sleep(0.002)  # for the last segments
        return right

    return ask


class MeteredWeb:
    def __init__(self):
        service = str(images.ROOT / "tests" / "support" / "metered_web.py")
        self.lab = Lab(images.build(service) / "metered_web.elf", icount="")
        self.frames = load.Frames(self.lab.namespace)
        self.lab.first(visitor(self.lab, timeout=0.5))
        # What happens once: paths to neighbours, the announcements of our address (RFC 5227).
        time.sleep(5)

    def read(self):
        """Bytes of the heap in use."""
        text = self.lab.machine.text
        seen = text.count("heap ")
        ours = bytes.fromhex(MAC.replace(":", ""))
        self.frames.send(ours + self.frames.mac + b"\x88\xb5" + bytes(46))
        self.lab.machine.wait_until(lambda text: text[: text.rfind("\n") + 1].count("heap ") > seen)
        return int(self.lab.machine.text.rsplit("heap ", 1)[1].split()[0])

    def allocated(self, count, path="/"):
        """Bytes that so many requests on one connection have allocated."""
        ask = getter(self.lab, path)
        # What happens once: in a connection, in its first second of rest, in a receive buffer.
        for pause in (2, 0):
            for _ in range(200):
                assert ask()
            time.sleep(pause)
        self.read()
        first, before = self.read(), self.read()
        for _ in range(count):
            assert ask()
        return self.read() - before - (before - first)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lab.close()
