"""As much of Hypothesis as the tests of the stack use, for MicroPython: dice, and no shrinking.

CPython looks for the examples that matter; this repeats the search shortly on the native code.
"""

import random as dice

import pytest

EXAMPLES = 50


class Strategy:
    def __init__(self, draw):
        self.draw = draw

    def filter(self, wanted):
        def draw():
            while True:
                value = self.draw()
                if wanted(value):
                    return value

        return Strategy(draw)

    def map(self, function):
        return Strategy(lambda: function(self.draw()))


class Data:
    def draw(self, strategy):
        return strategy.draw()


class strategies:
    @staticmethod
    def integers(min_value=0, max_value=0xFFFFFFFF):
        def draw():
            # The edges are where the mistakes are.
            if dice.getrandbits(3) == 0:
                return dice.choice((min_value, max_value))
            return min_value + dice.getrandbits(32) % (max_value - min_value + 1)

        return Strategy(draw)

    @staticmethod
    def binary(min_size=0, max_size=300):
        size = strategies.integers(min_size, max_size)
        return Strategy(lambda: bytes([dice.getrandbits(8) for _ in range(size.draw())]))

    @staticmethod
    def booleans():
        return Strategy(lambda: bool(dice.getrandbits(1)))

    @staticmethod
    def sampled_from(values):
        return Strategy(lambda: dice.choice(values))

    @staticmethod
    def just(value):
        return Strategy(lambda: value)

    @staticmethod
    def one_of(*choices):
        return Strategy(lambda: dice.choice(choices).draw())

    @staticmethod
    def tuples(*parts):
        return Strategy(lambda: tuple([part.draw() for part in parts]))

    @staticmethod
    def lists(part, min_size=0, max_size=20, unique=False):
        size = strategies.integers(min_size, max_size)

        def draw():
            made = [part.draw() for _ in range(size.draw())]
            return list(set(made)) if unique else made

        return Strategy(draw)

    @staticmethod
    def permutations(values):
        def draw():
            made = list(values)
            for i in range(len(made) - 1, 0, -1):
                j = dice.randrange(i + 1)
                made[i], made[j] = made[j], made[i]
            return made

        return Strategy(draw)

    @staticmethod
    def data():
        return Strategy(Data)


def given(*positional, **named):
    def decorate(test):
        def run(**others):
            for _ in range(EXAMPLES):
                values = {name: strategy.draw() for name, strategy in named.items()}
                values.update(others)
                test(*[strategy.draw() for strategy in positional], **values)

        run.filled = True
        return run

    return decorate


def settings(**options):
    return lambda test: test


def example(*values, **named):
    return lambda test: test


def assume(condition):
    assert condition, "assume is not supported here"


seed = pytest.mark.plain
