"""The name that `time` had in MicroPython of old."""

from time import *
