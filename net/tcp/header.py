"""TCP header, RFC 9293 3.1.

     0               2               4               6               8
     +---------------+---------------+---------------+---------------+
     |  source port  |   dest port   |           sequence            |
     +---------------+---------------+-------+-------+---------------+
     |        acknowledgement        | length| flags |    window     |
     +---------------+---------------+-------+-------+---------------+
     |   checksum    |    urgent     |
     +---------------+---------------+

`length` is the number of words of header and options, in the upper four bits.
"""

from micropython import const

SOURCE_PORT = const(0)
DESTINATION_PORT = const(2)
SEQUENCE = const(4)
ACKNOWLEDGEMENT = const(8)
LENGTH = const(12)
FLAGS = const(13)
WINDOW = const(14)
CHECKSUM = const(16)
URGENT = const(18)
SIZE = const(20)

FIN = const(0x01)
SYN = const(0x02)
RST = const(0x04)
PSH = const(0x08)
ACK = const(0x10)
URG = const(0x20)
ECE = const(0x40)
CWR = const(0x80)
