"""SHA-1, RFC 3174 (method 1 of section 6), one block after the other in viper.

Additions wrap at 32 bits by being stored into words; rotations mask the sign's copies away.
"""

import micropython

from ._block import Hash

# RFC 3174 section 5, little-endian: words that no small integer holds.
K = b"\x99\x79\x82\x5a\xa1\xeb\xd9\x6e\xdc\xbc\x1b\x8f\xd6\xc1\x62\xca"


class sha1(Hash):
    name = "sha1"
    digest_size = 20
    big = True
    table = bytearray(K)  # in memory, aligned: words are loaded from it
    first = b"\x67\x45\x23\x01\xef\xcd\xab\x89\x98\xba\xdc\xfe\x10\x32\x54\x76\xc3\xd2\xe1\xf0"

    @micropython.viper
    def compress(self, buffer, offset: int, blocks: int):
        data = ptr8(buffer)
        state = ptr8(self.state)
        w = ptr32(self.words)  # the schedule
        constants = ptr32(self.table)
        scratch = ptr32(self.scratch)
        while blocks:
            t = 0
            while t < 16:
                w[t] = (
                    data[offset] << 24
                    | data[offset + 1] << 16
                    | data[offset + 2] << 8
                    | data[offset + 3]
                )
                offset += 4
                t += 1
            while t < 80:
                x = w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16]
                w[t] = x << 1 | (x >> 31 & 1)
                t += 1
            t = 0
            while t < 5:
                i = t << 2
                scratch[t] = state[i] << 24 | state[i + 1] << 16 | state[i + 2] << 8 | state[i + 3]
                t += 1
            a = scratch[0]
            b = scratch[1]
            c = scratch[2]
            d = scratch[3]
            e = scratch[4]
            t = 0
            while t < 80:
                if t < 20:
                    f = (b & c) | ((b ^ -1) & d)
                    k = constants[0]
                elif t < 40:
                    f = b ^ c ^ d
                    k = constants[1]
                elif t < 60:
                    f = (b & c) | (b & d) | (c & d)
                    k = constants[2]
                else:
                    f = b ^ c ^ d
                    k = constants[3]
                scratch[5] = (a << 5 | (a >> 27 & 0x1F)) + f
                scratch[5] += e + k
                scratch[5] += w[t]
                e = d
                d = c
                scratch[6] = b << 30 | (b >> 2 & 0x3FFFFFFF)
                c = scratch[6]
                b = a
                a = scratch[5]
                t += 1
            scratch[0] += a
            scratch[1] += b
            scratch[2] += c
            scratch[3] += d
            scratch[4] += e
            t = 0
            while t < 5:
                x = scratch[t]
                i = t << 2
                state[i] = x >> 24
                state[i + 1] = x >> 16
                state[i + 2] = x >> 8
                state[i + 3] = x
                t += 1
            blocks -= 1
