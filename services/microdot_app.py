"""microdot_app: a web application written for microdot, as its documentation has it.

Nothing here knows that it runs in a machine of its own but `start`, the entry of every service:
JSON in and out, a streaming response, a WebSocket that echoes.
microdot itself comes from PyPI as it is; its hash is pinned in microdot_app.lock.
"""

import asyncio

from microdot import Microdot, Response
from microdot.websocket import with_websocket

REQUIREMENTS = ("microdot==2.7.0",)
PORTS = ("tcp:80",)

app = Microdot()
Response.default_content_type = "text/html"

PAGE = """<!doctype html>
<title>microdot on ImportOS</title>
<h1>It works</h1>
<p>Try <a href="/api/notes">/api/notes</a> and <a href="/count">/count</a>.
"""

notes = []


@app.get("/")
async def index(request):
    return PAGE


@app.get("/api/notes")
async def all_notes(request):
    return {"notes": notes}


@app.post("/api/notes")
async def add_note(request):
    note = request.json
    if not isinstance(note, dict) or "text" not in note:
        return {"error": "a note has a text"}, 400
    notes.append({"id": len(notes) + 1, "text": note["text"]})
    return notes[-1], 201


@app.get("/api/notes/<int:number>")
async def one_note(request, number):
    if not 0 < number <= len(notes):
        return {"error": "no such note"}, 404
    return notes[number - 1]


class Count:
    """Lines, one after the other: MicroPython has no asynchronous generators, but iterators."""

    def __init__(self, end):
        self.number = 0
        self.end = end

    def __aiter__(self):
        return self

    async def __anext__(self):
        if self.number == self.end:
            raise StopAsyncIteration
        self.number += 1
        await asyncio.sleep_ms(10)
        return f"{self.number}\n"


@app.get("/count")
async def count(request):
    return Count(int(request.args.get("to", 5))), {"Content-Type": "text/plain"}


@app.get("/echo")
@with_websocket
async def echo(request, socket):
    while True:
        await socket.send(await socket.receive())


def start(machine):
    app.run(port=80)
