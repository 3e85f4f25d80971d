"""MicroPython's asyncio, unmodified, over our select and sockets."""

import pytest

from tests.api.test_streams import OURS, THEIRS, Pair


@pytest.fixture
def pair():
    made = Pair()
    made.asyncio = made.machine.load("asyncio")
    return made


def serve(pair, handle, port=8080):
    """A server that runs as long as the test's coroutine; its task ends with asyncio.run."""

    async def main(work):
        server = await pair.asyncio.start_server(handle, "0.0.0.0", port)
        await work()
        server.close()

    return lambda work: pair.asyncio.run(main(work))


def test_a_stream_server_echoes_lines(pair):
    async def handle(reader, writer):
        while line := await reader.readline():
            writer.write(line.upper())
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    peers = []

    async def work():
        for _ in range(3):
            peer = pair.call(8080)
            peers.append(peer)
        await pair.asyncio.sleep_ms(100)
        for number, peer in enumerate(peers):
            peer.send(f"hello {number}\nsecond\n".encode())
        await pair.asyncio.sleep_ms(200)
        for peer in peers:
            peer.connection.close()
        await pair.asyncio.sleep_ms(200)

    serve(pair, handle)(work)
    assert [bytes(peer.heard) for peer in peers] == [
        f"HELLO {number}\nSECOND\n".encode() for number in range(3)
    ]
    assert all(peer.ended for peer in peers)


def test_more_callers_at_once_than_asyncio_listens_for(pair):
    """Its backlog is 5; all of these come within one turn."""

    async def handle(reader, writer):
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    peers = []

    async def work():
        peers.extend([pair.call(8080) for _ in range(20)])
        await pair.asyncio.sleep_ms(100)
        for peer in peers:
            peer.send(b"line\n")
        await pair.asyncio.sleep_ms(3000)  # ARP lets one SYN wait: the others come a second later

    serve(pair, handle)(work)
    assert [bytes(peer.heard) for peer in peers] == [b"line\n"] * 20


def test_open_connection_and_readexactly(pair):
    peers = pair.serve()

    async def main():
        reader, writer = await pair.asyncio.open_connection(THEIRS, 80)
        writer.write(b"question")
        await writer.drain()
        pair.later(50, lambda: peers[0].send(b"01234"))
        pair.later(90, lambda: peers[0].send(b"56789"))
        data = await reader.readexactly(8)
        pair.later(20, peers[0].connection.close)
        rest = await reader.read(-1)
        writer.close()
        await writer.wait_closed()
        return data, rest

    assert pair.asyncio.run(main()) == (b"01234567", b"89")
    assert peers[0].heard == b"question"


def test_a_lot_in_both_directions_at_once(pair):
    peers = pair.serve()
    data = bytes(i * 13 & 0xFF for i in range(200_000))

    async def main():
        reader, writer = await pair.asyncio.open_connection(THEIRS, 80)

        async def send():
            for at in range(0, len(data), 5000):
                writer.write(data[at : at + 5000])
                await writer.drain()

        async def receive():
            return await reader.readexactly(len(data))

        await pair.asyncio.sleep_ms(50)
        peers[0].pour(data)
        return (await pair.asyncio.gather(send(), receive()))[1]

    assert pair.asyncio.run(main()) == data
    pair.world.run(1000)
    assert peers[0].heard == data


def test_refused_is_raised_where_it_is_awaited(pair):
    async def main():
        await pair.asyncio.open_connection(THEIRS, 81)
        await pair.asyncio.sleep_ms(0)

    async def write():
        _, writer = await pair.asyncio.open_connection(THEIRS, 81)
        writer.write(b"x")
        await writer.drain()

    with pytest.raises(OSError):
        pair.asyncio.run(write())


def test_wait_for_gives_up_on_a_silent_peer(pair):
    pair.serve()

    async def main():
        reader, _ = await pair.asyncio.open_connection(THEIRS, 80)
        try:
            await pair.asyncio.wait_for_ms(reader.read(1), 100)
        except pair.asyncio.TimeoutError:
            return pair.world.time

    begin = pair.world.time
    assert 100 <= pair.asyncio.run(main()) - begin < 120


def test_wait_for_gives_what_came_in_time_and_raises_what_went_wrong(pair):
    pair.serve()
    asyncio = pair.asyncio

    async def sooner(value):
        await asyncio.sleep_ms(10)
        return value

    async def wrong():
        raise OSError(5)

    async def main():
        _, writer = await asyncio.wait_for(asyncio.open_connection(THEIRS, 80), 3)
        writer.write(b"x")
        await writer.drain()
        with pytest.raises(OSError):
            await asyncio.wait_for(wrong(), 3)
        return await asyncio.wait_for(sooner(5), 1)

    assert pair.asyncio.run(main()) == 5


def test_events_locks_and_gather(pair):
    asyncio = pair.asyncio
    order = []

    async def main():
        event, lock = asyncio.Event(), asyncio.Lock()

        async def waiter(name):
            await event.wait()
            async with lock:
                order.append(name)
                await asyncio.sleep_ms(10)
                order.append(name)
            return name

        async def setter():
            await asyncio.sleep_ms(30)
            event.set()

        return await asyncio.gather(waiter("a"), waiter("b"), setter())

    begin = pair.world.time
    assert pair.asyncio.run(main()) == ["a", "b", None]
    assert order == ["a", "a", "b", "b"]
    assert 50 <= pair.world.time - begin <= 56


def test_a_callback_of_the_native_api_wakes_a_task(pair):
    """Both in one service: a datagram arrives by callback, a flag lets the task go on."""
    asyncio = pair.asyncio
    flag = asyncio.ThreadSafeFlag()
    heard = []

    def callback(socket, datagram):
        heard.append(datagram.data)
        flag.set()

    pair.machine.inet.udp.bind(7, callback)
    sender = pair.host.inet.udp.bind(0, lambda *_: None)
    pair.later(75, lambda: sender.send_to(b"news", bytes([10, 0, 0, 1]), 7))

    async def main():
        await flag.wait()
        return pair.world.time

    begin = pair.world.time
    assert 75 <= pair.asyncio.run(main()) - begin <= 80
    assert heard == [b"news"]


def test_waiting_tasks_let_the_machine_sleep(pair):
    """In ten silent seconds nobody looks: no polling, no ticks."""
    pair.serve()

    async def main():
        reader, _ = await pair.asyncio.open_connection(THEIRS, 80)
        before = pair.machine.loop.blocks
        try:
            await pair.asyncio.wait_for_ms(reader.read(1), 10_000)
        except pair.asyncio.TimeoutError:
            return pair.machine.loop.blocks - before

    assert pair.asyncio.run(main()) <= 3


def test_stopping_the_machine_ends_asyncio(pair):
    def stop():
        pair.machine.loop.stopping = True
        pair.machine.loop.wake()

    block = pair.machine.loop.block

    def blocking(ms=-1):
        block(ms)
        if getattr(pair.machine.loop, "stopping", False):
            raise SystemExit

    pair.machine.loop.block = blocking
    pair.later(100, stop)

    async def main():
        await pair.asyncio.sleep_ms(100_000)

    with pytest.raises(SystemExit):
        pair.asyncio.run(main())


def test_getaddrinfo_of_our_own_address(pair):
    assert pair.socket.getaddrinfo(OURS, 80)[0][-1] == (OURS, 80)
