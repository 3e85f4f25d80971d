"""virsh, libvirt's own command: its answers as text, its complaints as one line.

It is chosen over the Python binding: that one is compiled against the headers of whatever libvirt
is there, this is one Debian package, and all that is done here can be repeated by hand.
"""

import os
import subprocess
import tempfile
from pathlib import Path

from tools.errors import UserError

PATIENCE = 120  # seconds for one command; waiting is done between commands
NO_CONNECTION = "failed to connect to the hypervisor"


class Virsh:
    def __init__(self, uri):
        self.uri = uri

    def __call__(self, *words, given=None):
        """What a command prints; UserError: what it complains about."""
        done = self.attempt(*words, given=given)
        if done.returncode:
            raise UserError(f"libvirt: {complaint(done.stderr)}")
        return done.stdout

    def attempt(self, *words, given=None):
        """The finished process of a command that may fail."""
        connect = ["--connect", self.uri] if self.uri else []
        try:
            return subprocess.run(
                ["virsh", "--quiet", *connect, *map(str, words)],
                input=given if given is not None else "",
                capture_output=True,
                text=True,
                errors="replace",
                timeout=PATIENCE,
                env={**os.environ, "LC_ALL": "C", "TZ": "UTC"},
            )
        except FileNotFoundError:
            raise UserError("virsh is not installed (Debian: libvirt-clients)") from None
        except subprocess.TimeoutExpired:
            raise UserError(f"libvirt: no answer to `virsh {words[0]}` in {PATIENCE} s") from None

    def with_file(self, command, text):
        """A command that wants XML from a file."""
        with tempfile.TemporaryDirectory(prefix="importos-") as folder:
            path = Path(folder) / "definition.xml"
            path.write_text(text)
            return self(command, path)


def complaint(text):
    """The reason among virsh's words."""
    lines = [line.removeprefix("error: ").strip() for line in text.splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith("Disconnected")] or lines
    if lines[:1] == [NO_CONNECTION] and lines[1:]:
        return f"{NO_CONNECTION}: {lines[-1]} (--connect URI names another)"
    reasons = [line for line in lines if not line.startswith("Failed to")]
    return (reasons or lines or ["virsh says nothing"])[-1]
