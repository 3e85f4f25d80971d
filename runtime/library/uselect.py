"""The name that `select` had in MicroPython of old."""

from select import *
