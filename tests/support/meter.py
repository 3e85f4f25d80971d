"""A metered name server under load, see metered.py: what it allocates, what it counts."""

import ast
import time

from tests.support import images, load, malformed
from tests.support.instructions import ADDRESS, KERNEL, MAC, Lab

HARDWARE = bytes.fromhex(MAC.replace(":", ""))


class Metered:
    """`build`: tests.support.images.build."""

    def __init__(self, build=images.build):
        service = str(images.ROOT / "tests" / "support" / "metered.py")
        self.lab = Lab(build(service) / "metered.elf", icount="")
        self.frames = load.Frames(self.lab.namespace)
        self.ask = self.lab.asker(53, load.bench_queries(), timeout=0.5)
        self.lab.first(self.lab.asker(53, load.bench_queries(), timeout=0.05))
        # What happens once: paths to neighbours, the announcements of our address (RFC 5227: two
        # seconds apart), and the first line printed.
        self.load(1000)
        time.sleep(4)
        self.read()
        first, second = self.read(), self.read()
        self.price = second - first  # what a reading itself allocates

    def read(self):
        """Bytes of the heap in use."""
        seen = self.lab.machine.text.count("heap ")
        self.frames.send(HARDWARE + self.frames.mac + b"\x88\xb5" + bytes(46))
        self.lab.machine.wait_until(lambda text: text[: text.rfind("\n") + 1].count("heap ") > seen)
        return int(self.lab.machine.text.rsplit("heap ", 1)[1].split()[0])

    def allocated(self, work, *arguments):
        """Bytes that the machine allocates while `work` goes on, and what `work` returns."""
        before = self.read()
        result = work(*arguments)
        return self.read() - before - self.price, result

    def load(self, count, queries=None, check="dns"):
        queries = queries or load.bench_queries()
        return load.load(
            self.lab.namespace, ADDRESS, 53, "window", count, 20, check, queries, timeout=1200
        )

    def malformed(self, count):
        """Malformed frames, a query between them now and then; returns what has to be counted."""
        ours, theirs = (bytes(map(int, text.split("."))) for text in (ADDRESS, KERNEL))
        flood = malformed.Flood(HARDWARE, ours, self.frames.mac, theirs)

        def answered():
            assert self.ask(), f"no answer\n{self.lab.machine.text}"

        self.frames.flood(flood.frames(count), answered)
        return flood.expected

    def end(self):
        """Stop the machine in order; returns its counters."""
        self.lab.machine.type(b"\x03")
        self.lab.machine.wait()
        lines = dict(line.partition(" ")[::2] for line in self.lab.machine.text.splitlines())
        return ast.literal_eval(lines["counters"])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lab.close()
