"""The guest agent: what libvirt, Nova and others ask a machine about itself, and tell it to do.

QEMU Guest Agent Protocol Reference (qga/qapi-schema.json of QEMU 7.2): a line of JSON asks, a line
answers, on the channel org.qemu.guest_agent.0.

    {"execute": "guest-ping"}                              ->  {"return": {}}
    {"execute": "guest-sync-delimited", "arguments": {"id": 7}}  ->  0xff {"return": 7}
    {"execute": "guest-fly"}  ->  {"error": {"class": "CommandNotFound", "desc": "..."}}

The byte 0xff begins a new line, whatever came before: so who asks gets over what a predecessor has
left half-said.

Law: the other side is not trusted with our memory.  A line has LINE bytes and DEPTH brackets at
most; while an answer waits to be taken, or is not known yet, nothing more is read.
Above: drivers/virtio/console.py, which calls the slots.  Below: commands.py.
Left out: a question of several lines, or without the end of one; an error for an argument too many,
which is passed over; guest-exec, files, users, suspend, everything else the reference has, which is
not in guest-info, and asking for it is CommandNotFound.
"""

import json

from micropython import const

from drivers.virtio import console
from runtime.instance.commands import LATER, SILENT, Commands

NAME = "org.qemu.guest_agent.0"
LINE = const(4096)
DEPTH = const(32)
SENTINEL = b"\xff"
FROZEN = ("guest-ping", "guest-info", "guest-sync", "guest-sync-delimited")  # and guest-fsfreeze-*
GENERIC = "GenericError"
NOT_FOUND = "CommandNotFound"


def serve(machine):
    console.serve(NAME, Agent(machine))


class Agent:
    def __init__(self, machine):
        self.log = machine.log
        self.commands = Commands(machine, self.later)
        self.port = None
        self.forget()

    def forget(self):
        """A new conversation."""
        self.line = b""
        self.skipping = False  # the rest of a line that is too long
        self.input = b""
        self.output = b""
        self.busy = False  # an answer will come later
        self.id = {}

    # Slots of the channel.

    def opened(self, port, up):
        self.port = port
        self.forget()

    def received(self, port, data):
        self.input += data
        self.work()
        return not (self.input or self.output)

    def writable(self, port):
        self.send(b"")
        self.work()
        if not (self.input or self.output):
            port.go_on()

    # Lines.

    def work(self):
        """Handle what has come, until an answer has to wait."""
        while self.input and not self.output and not self.busy:
            end = self.input.find(b"\n")
            piece = self.input if end < 0 else self.input[:end]
            self.input = b"" if end < 0 else self.input[end + 1 :]
            last = piece.rfind(SENTINEL)
            if last >= 0:
                self.line = b""
                self.skipping = False
                piece = piece[last + 1 :]
            if not self.skipping:
                self.line += piece
            if len(self.line) > LINE:
                self.skipping = True
                self.line = b""
                self.fail(GENERIC, f"a line of more than {LINE} bytes")
            if end >= 0:
                line = self.line.strip()
                self.line = b""
                if line and not self.skipping:
                    self.answer(line)
                self.skipping = False

    def answer(self, line):
        self.id = {}
        try:
            if line.count(b"{") + line.count(b"[") > DEPTH:
                raise ValueError
            asked = json.loads(str(line, "utf-8"))
        except (ValueError, RuntimeError, MemoryError):
            self.fail(GENERIC, "JSON parse error")
            return
        if not isinstance(asked, dict) or not isinstance(asked.get("execute"), str):
            self.fail(GENERIC, "QMP input must be a JSON object that has the member 'execute'")
            return
        arguments = asked.get("arguments", {})
        if "id" in asked:
            self.id = {"id": asked["id"]}
        name = asked["execute"]
        command = self.commands.table.get(name)
        if command is None:
            known = name in self.commands.disabled
            says = "has been disabled" if known else "has not been found"
            self.fail(NOT_FOUND, f"The command {name} {says}")
        elif not isinstance(arguments, dict):
            self.fail(GENERIC, "QMP input member 'arguments' must be an object")
        elif self.commands.frozen and not name.startswith("guest-fsfreeze") and name not in FROZEN:
            self.fail(NOT_FOUND, f"Command {name} has been disabled: the agent is in frozen state")
        else:
            self.call(name, command, arguments)

    def call(self, name, command, arguments):
        before = SENTINEL if name == "guest-sync-delimited" else b""
        try:
            value = command(arguments) if callable(command) else command
        except ValueError as refused:
            self.fail(GENERIC, str(refused))
            return
        if value is LATER:
            self.busy = True
        elif value is not SILENT:
            self.say({"return": value}, before)

    def later(self, value, error=None):
        """The answer to a command that took its time."""
        if self.busy:
            self.busy = False
            if error:
                self.fail(GENERIC, error)
            else:
                self.say({"return": value})
            self.work()
            if not (self.input or self.output):
                self.port.go_on()

    # Answers.

    def fail(self, kind, text):
        self.say({"error": {"class": kind, "desc": text}})

    def say(self, answer, before=b""):
        answer.update(self.id)
        self.send(before + json.dumps(answer).encode() + b"\n")

    def send(self, data):
        self.output += data
        if self.output:
            taken = self.port.write(self.output)
            self.output = self.output[taken:]
