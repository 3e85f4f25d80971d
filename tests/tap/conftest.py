"""Our stack in a Linux process, on a TAP device in a network namespace, opposite the kernel.

Every test runs twice: on CPython, where each load through a pointer is bounds-checked, and on
MicroPython for Linux, where the same source is native code.
"""

import ast
import os
import subprocess
import threading
import time

import pytest

from tests.support import images
from tests.support.namespace import Namespace
from tools.host import interpreters

KERNEL, OURS = "10.0.0.1", "10.0.0.2"
MAC = "52:54:00:00:00:02"
STATIC = (f"address={OURS}/24", f"gateway={KERNEL}")


class Process:
    """The process that is the machine; its output is collected."""

    def __init__(self, interpreter, descriptor, service, words, path=()):
        os.set_blocking(descriptor, False)
        script = images.ROOT / "tools" / "host" / "main.py"
        self.child = subprocess.Popen(
            [*interpreter, script, "tap", str(descriptor), service, *words],
            pass_fds=[descriptor],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=interpreters.environment(path),
            cwd=images.ROOT,
            text=True,
            bufsize=1,
        )
        self.lines = []
        self.news = threading.Condition()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.child.stdout:
            with self.news:
                self.lines.append(line.rstrip())
                self.news.notify_all()

    def wait_for(self, text, timeout=15):
        """Wait for a line that contains a text; returns it."""

        def found():
            return next((line for line in self.lines if text in line), None)

        with self.news:
            line = self.news.wait_for(found, timeout)
        if line is None:
            raise AssertionError(f"no {text!r} from the stack:\n" + "\n".join(self.lines))
        return line

    def close(self):
        self.child.kill()
        self.child.wait()
        self.reader.join()
        self.child.stdout.close()


class Station:
    """A namespace whose TAP device leads to a process of ours."""

    def __init__(self, interpreter):
        self.interpreter = interpreter
        self.namespace = Namespace()
        self.descriptor = None
        self.process = None

    def make_tap(self):
        """The device before the process: for servers that have to be there first."""
        if self.descriptor is None:
            self.descriptor = self.namespace.tap(address=f"{KERNEL}/24")
        return self.descriptor

    def start(self, *words, service="tests.support.probe", path=()):
        """Start the machine; `path`: more folders to import from."""
        self.process = Process(self.interpreter, self.make_tap(), service, words, path)
        self.process.wait_for("ready")
        return self

    def ask(self, command, address=OURS):
        """A command for the probe service; returns its answer."""
        control = self.namespace.socket()
        control.connect((address, 99))
        control.send(command.encode())
        return control.recv(4096).decode()

    def drops(self):
        return ast.literal_eval(self.ask("drops"))

    def wait_until(self, condition, timeout=10):
        end = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < end, "it did not happen"
            time.sleep(0.05)

    def close(self):
        if self.process:
            self.process.close()
        self.namespace.close()


@pytest.fixture(params=["cpython", "micropython"])
def station(request):
    if request.param == "cpython":
        made = Station(interpreters.command("cpython"))
    else:
        made = Station(interpreters.command("micropython", heap="4m"))
    yield made
    output = made.process.lines if made.process else []
    made.close()
    if output:
        print("\n".join(output))
