"""Sockets over TCP, from both sides: the program blocks, its peer lives on callbacks."""

import pytest

from net.address import parse
from net.config import TCP_WINDOW
from net.inet import Inet
from net.tcp import Tcp
from net.udp import Udp
from tests.api.support import Machine
from tests.support.wire import Host, World

OURS, THEIRS = "10.0.0.1", "10.0.0.2"
EAGAIN, EPIPE, ECONNRESET, ENOTCONN, ETIMEDOUT = 11, 32, 104, 107, 110
ECONNREFUSED, EINPROGRESS, EALREADY, EISCONN, EBADF = 111, 115, 114, 106, 9


class Peer:
    """A connection of the other host: what it heard, and what it does."""

    def __init__(self, pair, connection=None):
        self.pair = pair
        self.heard = bytearray()
        self.ended = self.closed = None
        self.connection = connection
        if connection:
            self.attach(connection)

    def attach(self, connection):
        self.connection = connection
        connection.on_data = self.data
        connection.on_end = self.end
        connection.on_close = self.close

    def data(self, connection, segment):
        self.heard += segment.data

    def end(self, connection):
        self.ended = True

    def close(self, connection, reason):
        self.closed = reason

    def send(self, data):
        assert self.connection.write(data) == len(data)

    def pour(self, data):
        """Send it all, as room comes."""
        rest = [data]

        def more(connection):
            taken = connection.write(rest[0])
            rest[0] = rest[0][taken:]

        self.connection.on_writable = more
        more(self.connection)
        return rest


class Pair:
    def __init__(self, **settings):
        self.world = World()
        self.host = Host(self.world, "peer", packets=64, address=f"{THEIRS}/24", **settings)
        self.machine = Machine(self.world, packets=64, address=f"{OURS}/24")
        for host in (self.host, self.machine):
            host.inet = Inet(host, udp=Udp, tcp=Tcp)
        self.socket = self.machine.load("socket")
        self.select = self.machine.load("select")
        self.peers = []

    def serve(self, port=80):
        """The other host accepts; returns the list of its connections."""

        def accepted(connection):
            self.peers.append(Peer(self, connection))

        self.host.inet.tcp.listen(port, accepted)
        return self.peers

    def call(self, port):
        """The other host connects; returns its end."""
        peer = Peer(self)

        def connected(connection):
            peer.connected = True

        peer.attach(self.host.inet.tcp.connect(parse(OURS), port, connected))
        return peer

    def connected(self):
        """(a connected socket, its peer)"""
        self.serve()
        sock = self.socket.socket()
        sock.connect((THEIRS, 80))
        self.world.run(10)
        return sock, self.peers[-1]

    def later(self, ms, call, *arguments):
        self.host.timers.timer(lambda: call(*arguments)).start(ms)


@pytest.fixture
def pair():
    return Pair()


def raises(number, call, *arguments):
    with pytest.raises(OSError) as error:
        call(*arguments)
    assert error.value.errno == number, error.value


def test_connect_send_receive_close(pair):
    sock, peer = pair.connected()
    assert sock.getpeername() == (THEIRS, 80)
    assert sock.getsockname()[0] == OURS
    assert sock.send(b"hello") == 5
    pair.world.run(50)
    assert peer.heard == b"hello"
    peer.send(b"welcome")
    assert sock.recv(100) == b"welcome"
    sock.close()
    pair.world.run(50)
    assert peer.ended


def test_accept_gives_the_connection_and_who_it_is(pair):
    door = pair.socket.socket()
    door.setsockopt(pair.socket.SOL_SOCKET, pair.socket.SO_REUSEADDR, 1)
    door.bind(("", 8080))
    door.listen(5)
    peer = pair.call(8080)
    sock, address = door.accept()
    assert address == (THEIRS, peer.connection.local_port)
    peer.send(b"first")
    assert sock.recv(10) == b"first"
    sock.sendall(b"second")
    pair.world.run(50)
    assert peer.heard == b"second"
    assert sock.getsockname() == (OURS, 8080)


def test_accept_waits_no_longer_than_the_time_out(pair):
    door = pair.socket.socket()
    door.bind(("0.0.0.0", 8080))
    door.listen(1)
    door.settimeout(0.2)
    begin = pair.world.time
    raises(ETIMEDOUT, door.accept)
    assert 200 <= pair.world.time - begin <= 202
    door.setblocking(False)
    raises(EAGAIN, door.accept)


def test_nobody_there_is_refused(pair):
    sock = pair.socket.socket()
    with pytest.raises(ConnectionRefusedError):
        sock.connect((THEIRS, 9999))
    assert pair.socket.socket().connect_ex((THEIRS, 9999)) == ECONNREFUSED


def test_connect_gives_up_after_the_time_out(pair):
    sock = pair.socket.socket()
    sock.settimeout(0.5)
    begin = pair.world.time
    raises(ETIMEDOUT, sock.connect, ("10.0.0.77", 80))
    assert 500 <= pair.world.time - begin <= 502


def test_connect_without_blocking_is_polled(pair):
    pair.serve()
    sock = pair.socket.socket()
    sock.setblocking(False)
    raises(EINPROGRESS, sock.connect, (THEIRS, 80))
    raises(EALREADY, sock.connect, (THEIRS, 80))
    poll = pair.select.poll()
    poll.register(sock, pair.select.POLLOUT)
    assert poll.poll(0) == []
    assert poll.poll(1000) == [(sock, pair.select.POLLOUT)]
    raises(EISCONN, sock.connect, (THEIRS, 80))
    assert sock.getsockopt(pair.socket.SOL_SOCKET, pair.socket.SO_ERROR) == 0


def test_poll_tells_that_a_connection_failed(pair):
    sock = pair.socket.socket()
    sock.setblocking(False)
    raises(EINPROGRESS, sock.connect, (THEIRS, 9999))
    poll = pair.select.poll()
    poll.register(sock, pair.select.POLLOUT)
    ((_, flags),) = poll.poll(1000)
    assert flags & pair.select.POLLERR and flags & pair.select.POLLHUP
    error = sock.getsockopt(pair.socket.SOL_SOCKET, pair.socket.SO_ERROR)
    assert error == ECONNREFUSED


def test_what_is_not_connected_has_nobody_to_talk_to(pair):
    sock = pair.socket.socket()
    raises(ENOTCONN, sock.recv, 1)
    raises(ENOTCONN, sock.send, b"x")
    raises(ENOTCONN, sock.getpeername)
    sock.close()
    raises(EBADF, sock.recv, 1)


def test_the_end_comes_after_what_was_sent_before(pair):
    sock, peer = pair.connected()
    peer.send(b"last words")
    peer.connection.close()
    pair.world.run(50)
    assert sock.recv(4) == b"last"
    assert sock.recv(100) == b" words"
    assert sock.recv(100) == b""
    assert sock.recv(100) == b""


def test_rfc9293_3_9_1_half_closed_is_still_half_open(pair):
    sock, peer = pair.connected()
    sock.send(b"question")
    sock.shutdown(pair.socket.SHUT_WR)
    pair.world.run(50)
    assert peer.ended and peer.heard == b"question"
    raises(EPIPE, sock.send, b"more")
    peer.send(b"answer")
    peer.connection.close()
    assert sock.read() == b"answer"


def test_a_reset_is_told_once_and_after_the_data(pair):
    sock, peer = pair.connected()
    peer.send(b"data")
    pair.world.run(50)
    peer.connection.abort()
    pair.world.run(50)
    assert sock.recv(10) == b"data"
    raises(ECONNRESET, sock.recv, 10)
    assert sock.recv(10) == b""
    raises(EPIPE, sock.send, b"x")


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_sendall_of_more_than_any_buffer_arrives_byte_for_byte(pair, kind):
    sock, peer = pair.connected()
    data = bytes(i * 7 & 0xFF for i in range(300_000))
    sock.sendall(kind(data))
    pair.world.run(2000)
    assert bytes(peer.heard) == data


def test_reading_all_of_much_arrives_byte_for_byte(pair):
    sock, peer = pair.connected()
    data = bytes(i * 11 & 0xFF for i in range(300_000))
    peer.pour(data)
    got = bytearray()
    while len(got) < len(data):
        piece = sock.recv(10_000)
        assert piece
        got += piece
    assert got == data


def test_who_does_not_read_is_not_sent_more_than_a_window(pair):
    sock, peer = pair.connected()
    rest = peer.pour(bytes(1_000_000))
    pair.world.run(5000)
    held = sock._end.length
    assert 0 < held <= TCP_WINDOW
    left = len(rest[0])
    pair.world.run(5000)
    assert len(rest[0]) == left, "it waits"
    got = 0
    while got < 1_000_000:
        got += len(sock.recv(65536))
    assert got == 1_000_000 and sock._end.length == 0


def test_writing_without_blocking_takes_what_there_is_room_for(pair):
    sock, peer = pair.connected()
    held = []

    def hold(connection, segment):
        held.append(segment.length)
        connection.hold(segment.length)

    peer.connection.on_data = hold
    sock.setblocking(False)
    data = bytes(100_000)
    total = 0
    for _ in range(100):
        taken = sock.write(data)
        if taken is None:
            break
        total += taken
        pair.world.run(100)
    assert taken is None and total > 10_000
    raises(EAGAIN, sock.send, b"x")
    poll = pair.select.poll()
    poll.register(sock, pair.select.POLLOUT)
    assert poll.poll(0) == []

    def read_on():
        peer.connection.on_data = lambda connection, segment: None
        peer.connection.release(sum(held))

    pair.later(50, read_on)
    assert poll.poll(60_000) == [(sock, pair.select.POLLOUT)]


def test_lines_across_segments(pair):
    sock, peer = pair.connected()
    for piece in (b"one\ntw", b"o\n", b"\nla", b"st"):
        peer.send(piece)
        pair.world.run(20)
    pair.later(50, peer.connection.close)
    assert [sock.readline() for _ in range(5)] == [b"one\n", b"two\n", b"\n", b"last", b""]


def test_lines_without_blocking_are_what_is_there(pair):
    sock, peer = pair.connected()
    sock.setblocking(False)
    assert sock.readline() is None
    peer.send(b"par")
    pair.world.run(20)
    assert sock.readline() == b"par"
    peer.send(b"t\nnext")
    pair.world.run(100)  # RFC 896: it waits for the acknowledgement, which is delayed
    assert sock.readline() == b"t\n"
    assert sock.readline(2) == b"ne"


def test_read_waits_for_all_and_readinto_fills(pair):
    sock, peer = pair.connected()
    peer.send(b"12345")
    pair.later(100, peer.send, b"67890")
    assert sock.read(8) == b"12345678"
    buffer = bytearray(4)
    pair.later(20, peer.connection.close)
    assert sock.readinto(buffer) == 2 and buffer[:2] == b"90"


def test_recv_into_and_peek(pair):
    sock, peer = pair.connected()
    peer.send(b"abcdef")
    buffer = bytearray(4)
    assert sock.recv(3, pair.socket.MSG_PEEK) == b"abc"
    assert sock.recv_into(buffer) == 4 and buffer == b"abcd"
    assert sock.recv(10) == b"ef"


def test_makefile_and_write_with_an_offset(pair):
    sock, peer = pair.connected()
    file = sock.makefile("rwb")
    assert file.write(b"0123456789", 2, 3) == 3
    assert file.write(b"abcdef", 2) == 2
    assert sock.write("text") == 4
    file.flush()
    pair.world.run(50)
    assert peer.heard == b"234abtext"


def test_more_callers_than_the_backlog_are_turned_away_and_counted(pair):
    door = pair.socket.socket()
    door.bind(("", 8080))
    door.listen(2)
    assert door._end.backlog == 128, "never less than that"
    door._end.backlog = 2
    callers = [pair.call(8080) for _ in range(3)]
    pair.world.run(200)
    assert pair.machine.counters.drops()["socket.backlog"] == 1
    assert [caller.closed for caller in callers] == [None, None, 104]
    assert len(door._end.queue) == 2
    door.close()
    pair.world.run(100)
    assert [caller.closed for caller in callers] == [104, 104, 104]


def test_a_port_has_one_listener(pair):
    one, two = pair.socket.socket(), pair.socket.socket()
    for sock in (one, two):
        sock.bind(("", 8080))
    one.listen()
    raises(98, two.listen)


def test_who_polls_a_listener_hears_of_callers(pair):
    door = pair.socket.socket()
    door.bind(("", 8080))
    door.listen()
    poll = pair.select.poll()
    poll.register(door, pair.select.POLLIN)
    assert poll.poll(20) == []
    pair.call(8080)
    assert poll.poll(1000) == [(door, pair.select.POLLIN)]
    door.accept()
    assert poll.poll(0) == []


def test_options_reach_the_connection(pair):
    sock, _ = pair.connected()
    told = []
    sock._end.connection.set = lambda **options: told.append(options)
    sock.setsockopt(pair.socket.IPPROTO_TCP, pair.socket.TCP_NODELAY, 1)
    sock.setsockopt(pair.socket.SOL_SOCKET, pair.socket.SO_KEEPALIVE, 1)
    assert told[0]["nodelay"] is True and told[1]["keepalive"][0] == 7200000
    assert sock.getsockopt(pair.socket.IPPROTO_TCP, pair.socket.TCP_NODELAY) == 1


def test_with_closes(pair):
    sock, peer = pair.connected()
    with sock:
        sock.send(b"x")
    raises(EBADF, sock.send, b"y")
    pair.world.run(50)
    assert peer.ended and peer.heard == b"x"


def test_create_connection(pair):
    pair.serve()
    sock = pair.socket.create_connection((THEIRS, 80), 5)
    assert sock.gettimeout() == 5
    with pytest.raises(ConnectionRefusedError):
        pair.socket.create_connection((THEIRS, 81))
