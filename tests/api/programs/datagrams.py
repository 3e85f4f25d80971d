"""An ordinary CPython program: datagrams, a selector, a time-out, a thread."""

import selectors
import socket
import threading

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("0.0.0.0", 7))
sock.settimeout(0.2)
try:
    sock.recv(1)
except TimeoutError as error:
    print("timeout:", error, flush=True)


def serve():
    selector = selectors.DefaultSelector()
    selector.register(sock, selectors.EVENT_READ)
    for _ in range(3):
        assert selector.select(10)
        data, sender = sock.recvfrom(1000)
        sock.sendto(data.upper(), sender)


print("serving", flush=True)
thread = threading.Thread(target=serve)
thread.start()
thread.join()
print("done", flush=True)
