"""The name that `os` had in MicroPython of old."""

from os import *
