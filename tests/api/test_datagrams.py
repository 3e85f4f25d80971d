"""Sockets over UDP, select and time, between two hosts on the virtual wire."""

import pytest

from net.address import parse
from net.inet import Inet
from net.udp import Udp
from tests.api.support import Machine
from tests.support.wire import Host, World

ETIMEDOUT, EAGAIN, EBADF, EADDRINUSE, EDESTADDRREQ = 110, 11, 9, 98, 89


class Pair:
    """`socket`: the module, on 10.0.0.1; `peer`: 10.0.0.2, whose port 7 echoes."""

    def __init__(self):
        self.world = World()
        self.peer = Host(self.world, "peer", address="10.0.0.2/24")
        self.machine = Machine(self.world, address="10.0.0.1/24")
        for host in (self.peer, self.machine):
            host.inet = Inet(host, udp=Udp)
        self.echo = self.peer.inet.udp.bind(7, self.answer)
        self.socket = self.machine.load("socket")
        self.select = self.machine.load("select")
        self.time = self.machine.load("time")

    def answer(self, socket, datagram):
        socket.reply(datagram, datagram.buffer, datagram.payload, datagram.length)

    def later(self, ms, call):
        timer = self.peer.timers.timer(call)
        timer.start(ms)

    def datagram(self, port=0):
        sock = self.socket.socket(self.socket.AF_INET, self.socket.SOCK_DGRAM)
        if port:
            sock.bind(("0.0.0.0", port))
        return sock


@pytest.fixture
def pair():
    return Pair()


def test_a_datagram_goes_and_comes(pair):
    sock = pair.datagram()
    assert sock.sendto(b"hello", ("10.0.0.2", 7)) == 5
    assert sock.recvfrom(100) == (b"hello", ("10.0.0.2", 7))
    sock.close()
    pair.world.check()


def test_what_is_too_long_for_the_reader_is_cut(pair):
    sock = pair.datagram()
    sock.sendto(b"0123456789", ("10.0.0.2", 7))
    assert sock.recvfrom(4)[0] == b"0123"
    sock.settimeout(0.02)
    with pytest.raises(OSError):
        sock.recv(4)


def test_a_time_out_is_linuxs_number_and_takes_that_long(pair):
    sock = pair.datagram(1000)
    sock.settimeout(0.25)
    begin = pair.world.time
    with pytest.raises(pair.socket.timeout) as error:
        sock.recvfrom(1)
    assert error.value.args[0] == ETIMEDOUT
    assert 250 <= pair.world.time - begin <= 260


def test_who_does_not_block_is_told_to_come_again(pair):
    sock = pair.datagram(1000)
    sock.setblocking(False)
    with pytest.raises(OSError) as error:
        sock.recvfrom(1)
    assert error.value.errno == EAGAIN
    assert sock.read(10) is None
    assert sock.gettimeout() == 0


def test_connected_sockets_hear_only_their_peer(pair):
    sock = pair.datagram(1000)
    sock.connect(("10.0.0.2", 7))
    other = pair.peer.inet.udp.bind(8, pair.answer)
    other.send_to(b"stranger", parse("10.0.0.1"), 1000)
    assert sock.send(b"friend") == 6
    assert sock.recv(100) == b"friend"
    assert sock.getpeername() == ("10.0.0.2", 7)
    assert sock.getsockname() == ("10.0.0.1", 1000)


def test_rfc1122_4_1_3_3_a_connected_socket_hears_that_nobody_is_there(pair):
    sock = pair.datagram()
    sock.connect(("10.0.0.2", 9999))
    sock.send(b"?")
    with pytest.raises(ConnectionRefusedError):
        sock.recv(10)


def test_a_port_is_bound_once(pair):
    pair.datagram(1000)
    with pytest.raises(OSError) as error:
        pair.datagram(1000)
    assert error.value.errno == EADDRINUSE


def test_a_closed_port_is_free_again(pair):
    sock = pair.datagram(1000)
    sock.close()
    pair.datagram(1000).close()
    with pytest.raises(OSError) as error:
        sock.send(b"x")
    assert error.value.errno == EBADF
    sock.close()  # twice is once


def test_without_a_destination_there_is_none(pair):
    with pytest.raises(OSError) as error:
        pair.datagram().send(b"x")
    assert error.value.errno == EDESTADDRREQ


def test_more_than_the_queue_holds_is_dropped_and_counted(pair):
    sock = pair.datagram(1000)
    sock.sendto(b"?", ("10.0.0.2", 7))
    sock.recv(1)
    for _ in range(60):
        pair.echo.send_to(bytes(1400), parse("10.0.0.1"), 1000)
        pair.world.run(2)
    assert pair.machine.counters.drops()["socket.overflow"] == 60 - 32768 // 1400
    assert len(sock.recv(2000)) == 1400


# select


def test_poll_reports_who_is_ready_only(pair):
    one, two = pair.datagram(1001), pair.datagram(1002)
    poll = pair.select.poll()
    poll.register(one, pair.select.POLLIN)
    poll.register(two, pair.select.POLLIN)
    assert poll.poll(0) == []
    pair.later(50, lambda: pair.echo.send_to(b"x", parse("10.0.0.1"), 1002))
    begin = pair.world.time
    assert poll.poll() == [(two, pair.select.POLLIN)]
    assert 50 <= pair.world.time - begin < 60
    assert poll.poll(0) == [(two, pair.select.POLLIN)], "level-triggered: it was not read"
    two.recv(1)
    assert poll.poll(0) == []
    poll.unregister(two)
    with pytest.raises(OSError):
        poll.unregister(two)


def test_poll_waits_no_longer_than_asked_for(pair):
    poll = pair.select.poll()
    poll.register(pair.datagram(1001), pair.select.POLLIN)
    begin = pair.world.time
    assert poll.poll(120) == []
    assert 120 <= pair.world.time - begin <= 122


def test_poll_looks_only_at_those_that_may_be_ready(pair):
    """What a call costs depends on who is ready, not on who is registered."""
    poll = pair.select.poll()
    socks = [pair.datagram(2000 + i) for i in range(30)]
    for sock in socks:
        poll.register(sock, pair.select.POLLIN)
    assert poll.poll(0) == []
    asked = []
    for sock in socks:
        ready = sock._end.ready
        sock._end.ready = lambda ready=ready: asked.append(1) or ready()
    pair.echo.send_to(b"x", parse("10.0.0.1"), 2011)
    assert len(poll.poll()) == 1
    assert len(asked) == 1


def test_one_shot_reports_once(pair):
    sock = pair.datagram(1001)
    poll = pair.select.poll()
    poll.register(sock, pair.select.POLLIN)
    pair.echo.send_to(b"x", parse("10.0.0.1"), 1001)
    assert list(poll.ipoll(100, 1)) == [(sock, pair.select.POLLIN)]
    assert list(poll.ipoll(0, 1)) == []
    poll.modify(sock, pair.select.POLLIN)
    assert list(poll.ipoll(0)) == [(sock, pair.select.POLLIN)]


def test_a_stream_with_an_ioctl_is_asked_once_a_turn(pair):
    class Flag:
        value = 0

        def ioctl(self, request, flags):
            assert request == 3
            return self.value

    flag = Flag()
    poll = pair.select.poll()
    poll.register(flag, pair.select.POLLIN)
    assert poll.poll(0) == []
    pair.later(30, lambda: setattr(flag, "value", 1))
    begin = pair.world.time
    assert poll.poll() == [(flag, pair.select.POLLIN)]
    assert pair.world.time - begin < 40


def test_what_cannot_say_that_it_is_ready_is_refused(pair):
    with pytest.raises(OSError):
        pair.select.poll().register(object())


def test_closing_wakes_who_waits(pair):
    sock = pair.datagram(1001)
    poll = pair.select.poll()
    poll.register(sock, pair.select.POLLIN)
    pair.later(30, sock.close)
    assert poll.poll() == [(sock, pair.select.POLLNVAL)]
    poll.unregister(sock)


def test_select_has_three_lists(pair):
    one, two = pair.datagram(1001), pair.datagram(1002)
    assert pair.select.select([one, two], [one], [], 1) == ([], [one], [])
    pair.echo.send_to(b"x", parse("10.0.0.1"), 1002)
    assert pair.select.select([one, two], [], []) == ([two], [], [])
    two.recv(1)
    begin = pair.world.time
    assert pair.select.select([one, two], [], [], 0.5) == ([], [], [])
    assert 500 <= pair.world.time - begin <= 502
    assert not one.polls and not two.polls


# time


def test_sleeping_lets_the_machine_go_on(pair):
    heard = []
    pair.later(40, lambda: heard.append(pair.world.time))
    begin = pair.world.time
    pair.time.sleep(0.1)
    assert 100 <= pair.world.time - begin <= 101 and len(heard) == 1
    pair.time.sleep_ms(7)
    pair.time.sleep(0)
    pair.time.sleep(-1)
    assert 107 <= pair.world.time - begin <= 109


def test_being_woken_for_somebody_else_is_no_end_of_a_sleep(pair):
    pair.later(10, pair.machine.loop.wake)
    pair.later(20, pair.machine.loop.wake)
    begin = pair.world.time
    pair.time.sleep_ms(50)
    assert 50 <= pair.world.time - begin <= 51


# Names


@pytest.mark.parametrize("host", ["10.0.0.2", b"10.0.0.2"])
def test_getaddrinfo_of_an_address_asks_nobody(pair, host):
    found = pair.socket.getaddrinfo(host, "80")
    assert found == [(2, 1, 0, "", ("10.0.0.2", 80))]
    assert pair.machine.loop.blocks == 0


def test_text_and_bytes_of_addresses(pair):
    socket = pair.socket
    assert socket.inet_pton(socket.AF_INET, "1.2.3.4") == b"\1\2\3\4"
    assert socket.inet_ntop(socket.AF_INET, b"\1\2\3\4") == "1.2.3.4"
    with pytest.raises(OSError):
        socket.inet_pton(socket.AF_INET, "1.2.3")
    with pytest.raises(ValueError):
        socket.inet_ntop(socket.AF_INET, b"123")


def test_options_that_change_nothing_are_taken_and_unknown_ones_refused(pair):
    sock = pair.datagram()
    sock.setsockopt(pair.socket.SOL_SOCKET, pair.socket.SO_REUSEADDR, 1)
    with pytest.raises(OSError):
        sock.setsockopt(pair.socket.SOL_SOCKET, 12345, 1)
