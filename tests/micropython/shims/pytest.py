"""As much of pytest as the tests of the stack use, for MicroPython: see ../run.py."""


class Case:
    """A test function and the parameters it is called with; decorators stack as products."""

    def __init__(self, function, sets):
        self.function = function
        self.sets = sets


def cases(test):
    return test if isinstance(test, Case) else Case(test, [{}])


class Param:
    def __init__(self, values):
        self.values = values


def param(*values, id=None, marks=()):
    return Param(values)


class Mark:
    def parametrize(self, names, values, ids=None):
        if isinstance(names, str):
            names = [name.strip() for name in names.split(",")]

        def decorate(test):
            case = cases(test)
            sets = []
            for value in values:
                if isinstance(value, Param):
                    value = value.values if len(names) > 1 else value.values[0]
                row = dict(zip(names, value)) if len(names) > 1 else {names[0]: value}
                for old in case.sets:
                    new = dict(old)
                    new.update(row)
                    sets.append(new)
            return Case(case.function, sets)

        return decorate

    def __getattr__(self, name):
        return self.plain

    def plain(self, *values, **options):
        """Any other mark, with or without arguments: the test as it is."""
        if len(values) == 1 and callable(values[0]):
            return values[0]
        return lambda test: test


mark = Mark()


class Fixture:
    def __init__(self, function, params):
        self.function = function
        self.params = params


def fixture(function=None, params=None, **options):
    if function is not None:
        return Fixture(function, None)
    return lambda function: Fixture(function, params)


class Raises:
    def __init__(self, kind):
        self.kind = kind
        self.value = None

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        assert kind is not None, "nothing was raised, not " + repr(self.kind)
        self.value = value
        return issubclass(kind, self.kind)


def raises(kind, match=None):
    return Raises(kind)


class Approx:
    def __init__(self, value, rel, abs):
        self.value = value
        self.slack = max(abs or 0, (rel or 1e-6) * (value if value > 0 else -value))

    def __eq__(self, other):
        return -self.slack <= other - self.value <= self.slack


def approx(value, rel=None, abs=None):
    return Approx(value, rel, abs)
