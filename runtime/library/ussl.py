"""The name that `ssl` had in MicroPython of old."""

from ssl import *
