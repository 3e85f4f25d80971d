"""Answer one DNS query."""


class Responder:
    def __init__(self, zone):
        self.zone = zone

    def answer(self, query, start, end, out, out_start, out_limit):
        """Length of the answer to query[start:end] written to out[out_start:], or 0."""
        length = end - start
        if length < 12 or query[start + 2] & 0x80:
            return 0
        out[out_start : out_start + 12] = query[start : start + 12]
        out[out_start + 2] = 0x80
        out[out_start + 3] = 5
        for i in range(4, 12):
            out[out_start + i] = 0
        return 12
