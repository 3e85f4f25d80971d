"""Bodies of requests: so many bytes, or chunks.  RFC 9112 sections 6 and 7.1.

    body = Sized(request.content_length) or Chunked(limit)
    used = body.feed(buffer, start, end)      how far it got
    body.done, body.status                    complete; or refused with a status
    body.data                                 what was collected

Chunk extensions are skipped, trailers checked for their size and dropped.  Lines end in CR LF and
nothing else does: a server in front of us that reads them otherwise sees other requests.
"""

SIZE, DATA, DATA_END, TRAILER, DONE = 0, 1, 2, 3, 4
LONGEST_LINE = 256  # of a size with its extensions
LONGEST_TRAILER = 2048
HEX = b"0123456789abcdefABCDEF"


class Sized:
    def __init__(self, length):
        self.left = length
        self.data = bytearray()
        self.status = 0
        self.done = length == 0

    def feed(self, buffer, start, end):
        take = min(self.left, end - start)
        self.data.extend(memoryview(buffer)[start : start + take])
        self.left -= take
        self.done = self.left == 0
        return start + take


class Chunked:
    def __init__(self, limit):
        self.limit = limit
        self.data = bytearray()
        self.status = 0
        self.done = False
        self.phase = SIZE
        self.line = b""
        self.left = 0
        self.trailer = 0

    def feed(self, buffer, start, end):
        while start < end and not self.done and not self.status:
            if self.phase == DATA:
                take = min(self.left, end - start)
                self.data.extend(memoryview(buffer)[start : start + take])
                self.left -= take
                start += take
                if self.left == 0:
                    self.phase = DATA_END
            else:
                start = self.gather(buffer, start, end)
        return start

    def gather(self, buffer, start, end):
        """Bytes of a line; a whole one is looked at."""
        while start < end:
            c = buffer[start]
            start += 1
            if c == 10:
                if self.line[-1:] != b"\r":
                    return self.refuse(400, end)
                line = self.line[:-1]
                self.line = b""
                self.look_at(line)
                return start
            if self.line[-1:] == b"\r":
                return self.refuse(400, end)
            self.line += bytes([c])
            if len(self.line) > (2 if self.phase == DATA_END else LONGEST_LINE):
                return self.refuse(400, end)
        return start

    def look_at(self, line):
        if self.phase == SIZE:
            digits = line.split(b";")[0].rstrip(b" \t")
            if not digits or [c for c in digits if c not in HEX]:
                self.status = 400
            elif len(digits) > 8 or len(self.data) + int(digits, 16) > self.limit:
                self.status = 413
            else:
                self.left = int(digits, 16)
                self.phase = DATA if self.left else TRAILER
        elif self.phase == DATA_END:
            self.phase = SIZE
            if line:
                self.status = 400
        elif not line:
            self.phase = DONE
            self.done = True
        else:
            self.trailer += len(line)
            if self.trailer > LONGEST_TRAILER:
                self.status = 431
            elif line[:1] in b" \t" or b":" not in line:
                self.status = 400

    def refuse(self, status, end):
        self.status = status
        return end
