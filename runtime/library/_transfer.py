"""What a socket receives and sends, and how long it waits for that.

Both families of names: send, recv and their kin, and MicroPython's stream: read, readinto,
readline, write.  The base of socket.py's class.
"""

from _endpoints import Closed, Connection, Datagrams
from _names import SOCK_DGRAM, SOCK_STREAM, pair
from micropython import const

from runtime import waiting
from runtime.waiting import failure

MSG_PEEK = const(2)

BAD_DESCRIPTOR = const(9)
AGAIN = const(11)
BROKEN_PIPE = const(32)
NO_DESTINATION = const(89)
TOO_LONG = const(90)
UNREACHABLE = const(101)
NO_BUFFERS = const(105)
NOT_CONNECTED = const(107)
TIMED_OUT = const(110)
LONGEST = const(65507)  # payload of a datagram


class timeout(OSError):
    """A time-out of a socket; also OSError(ETIMEDOUT)."""


class Transfer:
    # Waiting.

    def settimeout(self, seconds):
        self._seconds = seconds
        self._timeout = -1 if seconds is None else max(int(seconds * 1000), 1 if seconds else 0)

    def gettimeout(self):
        return self._seconds

    def setblocking(self, flag):
        self.settimeout(None if flag else 0)

    def _wait(self, test):
        if test():
            return
        if self._timeout == 0:
            raise failure(AGAIN)
        if not waiting.wait(test, self._timeout):
            raise timeout(TIMED_OUT, "timed out")

    # Receiving.

    def _stream(self):
        """The connection, for reading and writing."""
        end = self._end
        if not isinstance(end, Connection):
            raise failure(BAD_DESCRIPTOR if isinstance(end, Closed) else NOT_CONNECTED)
        if end.connection is None:
            raise failure(NOT_CONNECTED)
        if not end.connected:
            if self._timeout == 0 and not end.gone:
                raise failure(AGAIN)
            self._wait(end.settled)
            end.raise_error()
        return end

    def _arrived(self, end):
        """Wait until there is something to read; False: it has ended."""
        if not end.length:
            if self._shut:
                return False
            self._wait(end.readable)
            if not end.length:
                end.raise_error()
                return False
        return True

    def recv(self, size, flags=0):
        if self.type == SOCK_DGRAM:
            return self.recvfrom(size, flags)[0]
        end = self._stream()
        if not size or not self._arrived(end):
            return b""
        if flags & MSG_PEEK:
            return bytes(end.chunks[0][end.read : end.read + size])
        return end.take(size)

    def recv_into(self, buffer, size=0, flags=0):
        data = self.recv(size or len(buffer), flags)
        memoryview(buffer)[: len(data)] = data
        return len(data)

    def recvfrom(self, size, flags=0):
        if self.type == SOCK_STREAM:
            return self.recv(size, flags), self.getpeername()
        end = self._end
        if not isinstance(end, Datagrams):
            if isinstance(end, Closed):
                raise failure(BAD_DESCRIPTOR)
            self._bind(self._port)  # somebody may send to it later
            end = self._end
        self._wait(end.readable)
        end.raise_error()
        if flags & MSG_PEEK:
            data, source, port = end.queue[0]
        else:
            data, source, port = end.take()
        return data[:size], pair(bytes(source), port, self.family)

    def recvfrom_into(self, buffer, size=0, flags=0):
        data, source = self.recvfrom(size or len(buffer), flags)
        memoryview(buffer)[: len(data)] = data
        return len(data), source

    # MicroPython's stream: all that was asked for, unless it does not block or has ended.

    def read(self, size=-1):
        if self.type == SOCK_DGRAM:
            return self._or_none(self.recv, 65535 if size < 0 else size)
        end = self._stream()
        pieces = []
        while size:
            try:
                if not self._arrived(end):
                    break
            except OSError as error:
                if error.args[0] != AGAIN:
                    raise
                if not pieces:
                    return None
                break
            piece = end.take(size)
            pieces.append(piece)
            if size > 0:
                size -= len(piece)
        return b"".join(pieces)

    def readinto(self, buffer, size=-1):
        data = self.read(len(buffer) if size < 0 else size)
        if data is None:
            return None
        memoryview(buffer)[: len(data)] = data
        return len(data)

    def readline(self, size=-1):
        end = self._stream()

        def there():
            return end.line() or end.ended or end.error or 0 <= size <= end.length

        try:
            self._wait(there)
        except OSError as error:
            if error.args[0] != AGAIN:
                raise
            return end.take(-1) if end.length else None
        length = end.line() or end.length
        if not length:
            end.raise_error()
        return end.take(length if size < 0 else min(length, size))

    def _or_none(self, call, *arguments):
        try:
            return call(*arguments)
        except OSError as error:
            if error.args[0] != AGAIN:
                raise
            return None

    # Sending.

    def send(self, data, flags=0):
        if self.type == SOCK_DGRAM:
            return self._send_datagram(data, None)
        return self._send(data, 0, len(data))

    def _send(self, data, offset, length):
        end = self._stream()
        while True:
            end.raise_error()
            if end.gone or end.shut:
                raise failure(BROKEN_PIPE)
            if not length:
                return 0
            if not end.full:
                taken = end.put(data, offset, length)
                if taken:
                    return taken
            self._wait(end.unblocked)

    def sendall(self, data, flags=0):
        length = len(data)
        sent = 0
        while sent < length:
            sent += self._send(data, sent, length - sent)

    def sendto(self, data, flags, address=None):
        if address is None:
            address = flags
        if self.type == SOCK_STREAM:
            return self.send(data)
        return self._send_datagram(data, address)

    def _send_datagram(self, data, address):
        if isinstance(self._end, Closed):
            raise failure(BAD_DESCRIPTOR)
        if not isinstance(self._end, Datagrams):
            self._bind(self._port)
        end = self._end
        end.raise_error()
        peer = self._address(address) if address else end.peer
        if peer is None:
            raise failure(NO_DESTINATION)
        if len(data) > LONGEST:
            raise failure(TOO_LONG)
        if not end.socket.send_to(data, peer[0], peer[1]):
            # No buffer for now, or no way there: the counters say which.
            if waiting.stack().source_for(peer[0]) is None:
                raise failure(UNREACHABLE)
            raise failure(NO_BUFFERS)
        return len(data)

    def write(self, data, offset=None, length=None):
        """All of it; without blocking as much as possible, None: nothing."""
        if self.type == SOCK_DGRAM:
            return self._or_none(self.send, data)
        data = data.encode() if isinstance(data, str) else data
        begin = 0
        end = len(data)
        if offset is not None:
            begin, end = (0, min(end, offset)) if length is None else (offset, offset + length)
        sent = begin
        while sent < end:
            taken = self._or_none(self._send, data, sent, end - sent)
            if taken is None:
                return sent - begin or None
            sent += taken
        return sent - begin

    def makefile(self, mode="rb", buffering=0):
        return self

    def flush(self):
        pass
