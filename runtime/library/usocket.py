"""The name that `socket` had in MicroPython of old."""

from socket import *
