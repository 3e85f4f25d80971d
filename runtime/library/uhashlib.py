"""The name that `hashlib` had in MicroPython of old."""

from hashlib import *
