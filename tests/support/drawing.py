"""The pictures of headers in the docstrings, read as the tables they are.

A picture is a ruler of offsets, then rows of cells between `|`.  A cell that begins with `:` goes
on from the row before.  "(16 bytes)" in a cell says that the row stands for more than the ruler.
"""

import re
from itertools import pairwise


def drawings(module):
    """[{name: offset}] for every picture in the docstring of a module."""
    found = []
    ruler = None
    for line in module.__doc__.splitlines():
        body = line.strip()
        if re.fullmatch(r"0( +\d+)+", body):
            ruler = [(match.start(), int(match.group())) for match in re.finditer(r"\d+", line)]
            found.append({})
            start = 0
        elif ruler and body[:1] in "|:" and body[-1:] in "|:" and len(body) > 2:
            start = row(found[-1], ruler, line, start)
        elif ruler and not body.startswith("+"):
            ruler = None
    return found


def row(names, ruler, line, start):
    edges = [match.start() for match in re.finditer(r"[|:]", line)]
    size = offset(ruler, edges[-1])
    for left, right in pairwise(edges):
        text = line[left + 1 : right].strip()
        more = re.search(r"\((\d+) (bytes|more)\)", text)
        if more:
            size = int(more.group(1))
        name = re.sub(r" *\(.*\)", "", " ".join(text.split()))
        if name and line[left] == "|":
            names[name] = start + offset(ruler, left)
    return start + size


def offset(ruler, column):
    """The ruler's number at a column, or between its last two marks, or beyond them."""
    for (left, low), (right, high) in pairwise(ruler):
        if column <= right or right == ruler[-1][0]:
            value = low + (column - left) * (high - low) / (right - left)
            return round(value)
    raise ValueError(column)
