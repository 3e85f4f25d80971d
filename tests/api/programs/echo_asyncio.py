"""An ordinary CPython program: an asyncio echo server, with a thread beside it."""

import asyncio


async def handle(reader, writer):
    while line := await reader.readline():
        writer.write(await asyncio.to_thread(line.upper))
        await writer.drain()
    writer.close()


async def main():
    server = await asyncio.start_server(handle, "0.0.0.0", 7)
    print("serving", flush=True)
    async with server:
        await server.serve_forever()


asyncio.run(main())
