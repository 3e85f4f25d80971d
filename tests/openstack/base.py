"""What the services of a test cloud share: a folder, configuration files, processes with logs.

The programs are Debian's, on Debian's interpreter.  They are started by their entry points from
the libraries' packages, because the packages of the daemons bring configuration in /etc, users and
init scripts that nobody here wants.
"""

import subprocess
import time
from pathlib import Path

PYTHON = ("/usr/bin/python3", "-P")  # no modules from where a script lies: ours have like names
HERE = Path(__file__).resolve().parent
PASSWORD = "sesame-for-tests"
MEMBER, MEMBER_PASSWORD, PROJECT = "maria", "her-own-password", "workshop"
REGION = "RegionOne"
PORTS = {
    "identity": 5000,
    "image": 9292,
    "placement": 8778,
    "compute": 8774,
    "network": 9696,
}
PATHS = {"identity": "/v3", "compute": "/v2.1"}
PATIENCE = 400  # seconds that a service may take to come up: other tests may run beside it
# They name things for the program that they are: chains of iptables, for instance.
START = "import sys; sys.argv[0] = {2!r}; from {0} import {1}; sys.exit({1}())"


def url(service):
    return f"http://127.0.0.1:{PORTS[service]}{PATHS.get(service, '')}"


def ini(sections):
    """{section: {option: value}} as text; a value that is a list is an option several times."""
    lines = []
    for section, options in sections.items():
        lines.append(f"[{section}]")
        for name, value in options.items():
            for one in value if isinstance(value, list) else [value]:
                lines.append(f"{name} = {one}")
    return "\n".join([*lines, ""])


class Services:
    """Processes in a realm, in a folder; each has a log of its own."""

    def __init__(self, realm, folder):
        self.realm, self.folder = realm, folder
        self.running = {}
        self.began = time.monotonic()
        self.times = []  # (seconds since the beginning, what happened)
        (folder / "log").mkdir(parents=True)

    def note(self, text):
        self.times.append((time.monotonic() - self.began, text))

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def log(self, name):
        return self.folder / "log" / f"{name}.log"

    def environment(self, more):
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "PYTHONWARNINGS": "ignore",
            **{name: str(value) for name, value in (more or {}).items()},
        }

    def start(self, name, *words, environment=None):
        """Start a program that stays."""
        with self.log(name).open("ab") as log:
            self.running[name] = self.realm.start(
                *words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment(environment),
                cwd=self.folder,
            )

    def python(self, name, module, function, *words, environment=None):
        """Start what an entry point of a Debian package would start."""
        code = START.format(module, function, name)
        self.start(name, *PYTHON, "-c", code, *words, environment=environment)

    def wsgi(self, name, application, service, environment=None):
        words = (*PYTHON, HERE / "wsgi.py", application, PORTS[service])
        self.start(name, *words, environment=environment)

    def begin(self, name, module, function, *words, environment=None):
        """Start a tool that ends by itself; `end` waits for it.  Two cores do two at a time."""
        return self.begin_code(
            name, START.format(module, function, name), *words, environment=environment
        )

    def begin_code(self, name, code, *words, environment=None):
        with self.log(name).open("ab") as log:
            return name, subprocess.Popen(
                self.realm.command(*PYTHON, "-c", code, *words),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment(environment),
                cwd=self.folder,
            )

    def end(self, *started):
        for name, process in started:
            status = process.wait(PATIENCE * 2)
            if status:
                raise AssertionError(f"{name}: status {status}\n{self.tail(name)}")
            self.note(f"{name} done")

    def tool(self, name, module, function, *words, environment=None):
        self.end(self.begin(name, module, function, *words, environment=environment))

    def tail(self, name, lines=25):
        text = self.log(name).read_text(errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def wait(self, name, ready, patience=PATIENCE):
        """Wait until `ready()` of a service; if it does not get there, its log comes back."""
        deadline = time.monotonic() + patience
        while not ready():
            for other, process in self.running.items():
                if process.poll() is not None:
                    raise AssertionError(f"{other} has ended\n{self.tail(other)}")
            if time.monotonic() > deadline:
                raise AssertionError(f"{name} is not up\n{self.tail(name)}")
            time.sleep(0.1)
        self.note(f"{name} is up")

    def listens(self, port):
        """Whether somebody in the realm listens on a port, without a connection that would be one
        more line in a log.
        """
        table = Path(f"/proc/{self.realm.holder.pid}/net/tcp")
        wanted = f":{port:04X}"
        rows = [line.split() for line in table.read_text().splitlines()[1:]]
        return any(row[1].endswith(wanted) and row[3] == "0A" for row in rows)
