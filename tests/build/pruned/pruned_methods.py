"""Methods that no code names but C, or only as a value: they are in the image all the same."""

import sys


class Pairs:
    def keys(self):
        return ["a", "b"]

    def __getitem__(self, key):
        return key + "!"


class Words(list):
    def __getattr__(self, name):
        return name

    @property
    def first(self):
        return self[0]


class Wrong(ValueError):
    def __init__(self, number):
        super().__init__(number, "wrong")


class Held:
    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        return kind is Wrong and error.args == (7, "wrong")


def told(a=1, *rest, b=2, **more):
    return a, rest, b, sorted(more.items())


def through(call, *arguments, **words):
    return (lambda *a, **k: call(*a, **k))(*arguments, **words)


def inner():
    try:
        yield 1
        yield 2
    except Wrong as error:
        yield error.args
    finally:
        print("closed")


def outer():
    yield from inner()


def nested(number):
    return [
        (lambda x: through(int, x))(text)
        for text in ("1", "x" * number)
    ]  # fmt: skip


def start(machine):
    print("<<<")
    print({1, 2}.__contains__(1), frozenset((3,)).__contains__(4))
    print(list(map(str.upper, "ab")), sorted("bAc", key=str.lower), "-".join(dict.fromkeys("ab")))
    print(told(**Pairs()), through(told, 3, 4, b=5, c=6))
    words = Words("xy")
    words.append("z")
    print(words.first, words.other, words[1:], len(words), f"{words}")
    with Held():
        raise Wrong(7)
    generator = outer()
    print(next(generator), generator.throw(Wrong(8)), generator.close())
    try:
        nested(2)
    except ValueError as error:
        sys.print_exception(error)
    print(">>>")
    if machine:
        machine.stop()
