"""As much of GDB's remote protocol as it takes to stop a guest at an address: QEMU counts
instructions, this says where from.

Protocol: GDB manual, appendix E. One packet is `$text#checksum`, answered by `+`.
"""


class Stub:
    """QEMU's GDB stub over a connected socket."""

    def __init__(self, connection):
        self.connection = connection
        self.buffer = b""

    def close(self):
        self.connection.close()

    def send(self, text):
        packet = text.encode()
        self.connection.sendall(b"$%s#%02x" % (packet, sum(packet) & 0xFF))

    def receive(self, timeout=30):
        self.connection.settimeout(timeout)
        while True:
            start, end = self.buffer.find(b"$"), self.buffer.find(b"#")
            if 0 <= start < end and len(self.buffer) >= end + 3:
                text = self.buffer[start + 1 : end].decode()
                self.buffer = self.buffer[end + 3 :]
                self.connection.sendall(b"+")
                return text
            piece = self.connection.recv(4096)
            if not piece:
                raise EOFError("QEMU closed the debugger's connection")
            self.buffer += piece

    def ask(self, text):
        self.send(text)
        return self.receive()

    def run_to(self, address, timeout=30):
        """Let the guest run until it is about to execute the instruction at `address`."""
        assert self.ask(f"Z1,{address:x},1") == "OK", "no hardware breakpoint"
        self.send("c")
        stopped = self.receive(timeout)
        assert stopped.startswith(("T05", "S05")), f"stopped with {stopped}"
        assert self.ask(f"z1,{address:x},1") == "OK"

    def go(self):
        """Let the guest run on."""
        self.send("c")
