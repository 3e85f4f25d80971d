"""MD5, RFC 1321 section 3.4, one block after the other in viper.

The table T of the RFC is the integer part of 2^32 |sin(i)|; here as bytes, little-endian.
"""

import micropython

from ._block import Hash

T = (
    b"\x78\xa4\x6a\xd7\x56\xb7\xc7\xe8\xdb\x70\x20\x24\xee\xce\xbd\xc1"
    b"\xaf\x0f\x7c\xf5\x2a\xc6\x87\x47\x13\x46\x30\xa8\x01\x95\x46\xfd"
    b"\xd8\x98\x80\x69\xaf\xf7\x44\x8b\xb1\x5b\xff\xff\xbe\xd7\x5c\x89"
    b"\x22\x11\x90\x6b\x93\x71\x98\xfd\x8e\x43\x79\xa6\x21\x08\xb4\x49"
    b"\x62\x25\x1e\xf6\x40\xb3\x40\xc0\x51\x5a\x5e\x26\xaa\xc7\xb6\xe9"
    b"\x5d\x10\x2f\xd6\x53\x14\x44\x02\x81\xe6\xa1\xd8\xc8\xfb\xd3\xe7"
    b"\xe6\xcd\xe1\x21\xd6\x07\x37\xc3\x87\x0d\xd5\xf4\xed\x14\x5a\x45"
    b"\x05\xe9\xe3\xa9\xf8\xa3\xef\xfc\xd9\x02\x6f\x67\x8a\x4c\x2a\x8d"
    b"\x42\x39\xfa\xff\x81\xf6\x71\x87\x22\x61\x9d\x6d\x0c\x38\xe5\xfd"
    b"\x44\xea\xbe\xa4\xa9\xcf\xde\x4b\x60\x4b\xbb\xf6\x70\xbc\xbf\xbe"
    b"\xc6\x7e\x9b\x28\xfa\x27\xa1\xea\x85\x30\xef\xd4\x05\x1d\x88\x04"
    b"\x39\xd0\xd4\xd9\xe5\x99\xdb\xe6\xf8\x7c\xa2\x1f\x65\x56\xac\xc4"
    b"\x44\x22\x29\xf4\x97\xff\x2a\x43\xa7\x23\x94\xab\x39\xa0\x93\xfc"
    b"\xc3\x59\x5b\x65\x92\xcc\x0c\x8f\x7d\xf4\xef\xff\xd1\x5d\x84\x85"
    b"\x4f\x7e\xa8\x6f\xe0\xe6\x2c\xfe\x14\x43\x01\xa3\xa1\x11\x08\x4e"
    b"\x82\x7e\x53\xf7\x35\xf2\x3a\xbd\xbb\xd2\xd7\x2a\x91\xd3\x86\xeb"
)
# Rotations of each round, RFC 1321: four, in turn.
S = b"\x07\x0c\x11\x16\x05\x09\x0e\x14\x04\x0b\x10\x17\x06\x0a\x0f\x15"


class md5(Hash):
    name = "md5"
    digest_size = 16
    big = False
    table = bytearray(T)  # in memory, aligned: words are loaded from it
    first = b"\x01\x23\x45\x67\x89\xab\xcd\xef\xfe\xdc\xba\x98\x76\x54\x32\x10"

    @micropython.viper
    def compress(self, buffer, offset: int, blocks: int):
        data = ptr8(buffer)
        state = ptr32(self.state)
        x = ptr32(self.words)
        t = ptr32(self.table)
        s = ptr8(S)
        scratch = ptr32(self.scratch)
        while blocks:
            i = 0
            while i < 16:
                x[i] = (
                    data[offset]
                    | data[offset + 1] << 8
                    | data[offset + 2] << 16
                    | data[offset + 3] << 24
                )
                offset += 4
                i += 1
            a = state[0]
            b = state[1]
            c = state[2]
            d = state[3]
            i = 0
            while i < 64:
                turn = i >> 4
                if turn == 0:
                    f = (b & c) | ((b ^ -1) & d)
                    k = i
                elif turn == 1:
                    f = (d & b) | ((d ^ -1) & c)
                    k = 5 * i + 1
                elif turn == 2:
                    f = b ^ c ^ d
                    k = 3 * i + 5
                else:
                    f = c ^ (b | (d ^ -1))
                    k = 7 * i
                scratch[0] = a + f
                scratch[0] += t[i]
                scratch[0] += x[k & 15]
                n = int(s[turn << 2 | (i & 3)])
                y = scratch[0]
                scratch[0] = y << n | (y >> (32 - n) & ((1 << n) - 1))
                scratch[0] += b
                a = d
                d = c
                c = b
                b = scratch[0]
                i += 1
            state[0] += a
            state[1] += b
            state[2] += c
            state[3] += d
            blocks -= 1
