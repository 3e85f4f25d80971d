"""What the tests want of itertools, for MicroPython."""


def pairwise(values):
    values = list(values)
    return zip(values, values[1:])


def product(*sets):
    made = [()]
    for values in sets:
        made = [row + (value,) for row in made for value in values]
    return made
