"""The name that `logging` had in MicroPython of old."""

from logging import *
