"""The tests of the stack on MicroPython: a small pytest.

    micropython tests/micropython/run.py MODULE [-NAME ...]       from the root folder

MODULE is a file that translate.py has made; -NAME leaves a test out.  Functions `test_*` are
called, once per set of parameters, with the fixtures of their module.  Prints `ok`, `FAILED` or
`left out` for each, and ends with status 1 if one failed.  Which arguments a function takes stands
only in its source, so that is where it is read from.
Left out: fixtures of pytest itself (monkeypatch, tmp_path, capsys).
"""

import re
import sys

sys.path[:0] = ["tests/micropython/shims", "."]

import pytest  # noqa: E402

# Importing compiles, one module inside the other, and the stack is small: begin with the leaves.
for leaf in ("net.packet", "net.reassembly", "net.ip4.interface", "net.ip6.interface", "net.tcp"):
    __import__(leaf)

DEFINITION = re.compile(r"^def (\w+)\(([^)]*)\)")


def arguments(path):
    """Function -> names of its arguments."""
    found = {}
    with open(path) as source:
        for line in source:
            match = DEFINITION.match(line)
            if match:
                names = [part.split("=")[0].strip() for part in match.group(2).split(",")]
                found[match.group(1)] = [name for name in names if name]
    return found


def load(path):
    folder, name = path.rsplit("/", 1)
    sys.path.insert(0, folder)
    return __import__(name[:-3])


class Missing(Exception):
    """A fixture that is not ours."""


class Request:
    def __init__(self, value):
        self.param = value


class Runner:
    def __init__(self, path):
        self.module = load(path)
        self.takes = arguments(path)

    def fixture(self, name, given, made):
        """The value of a fixture, with those that it asks for."""
        if name in made:
            return made[name]
        found = getattr(self.module, name, None)
        if not isinstance(found, pytest.Fixture):
            raise Missing(name)
        values = {}
        for argument in self.takes[name]:
            if argument == "request":
                values[argument] = Request(given.get(name))
            else:
                values[argument] = self.fixture(argument, given, made)
        value = found.function(**values)
        if hasattr(value, "__next__"):
            value = next(value)
        made[name] = value
        return value

    def choices(self, names):
        """Every combination of the parameters of fixtures that are used."""
        rows = [{}]
        todo = list(names)
        while todo:
            name = todo.pop()
            found = getattr(self.module, name, None)
            if isinstance(found, pytest.Fixture):
                todo += self.takes[name]
                if found.params:
                    rows = [dict(row, **{name: value}) for row in rows for value in found.params]
        return rows

    def run(self, name):
        case = pytest.cases(getattr(self.module, name))
        for parameters in case.sets:
            wanted = [n for n in self.takes.get(name, []) if n not in parameters]
            for given in self.choices(wanted):
                made = {}
                values = dict(parameters)
                for argument in wanted:
                    if case.function.__name__ != "run":  # hypothesis fills in its own
                        values[argument] = self.fixture(argument, given, made)
                case.function(**values)


def main(path, *options):
    runner = Runner(path)
    failed = 0
    for name in sorted(dir(runner.module)):
        if not name.startswith("test_") or "-" + name in options:
            continue
        try:
            runner.run(name)
            print("ok", name)
        except Missing as missing:
            print("left out", name, missing)
        except BaseException as error:
            failed += 1
            print("FAILED", name)
            sys.print_exception(error)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
