"""What makes two builds of one source differ, and what stands there instead.

Identifiers are drawn from the content of the raw image, dates are all the same, and files are
written with holes where there is nothing but zeros.
"""

import datetime
import hashlib
import os
import subprocess
import uuid
from pathlib import Path

from tools.errors import UserError

SPACE = uuid.UUID("b5a86f3e-4b1c-5a55-9c52-1d1bf1d5c3f0")  # of names, RFC 9562 section 6.5
DATE = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
HOLE = 4096


def digest(path):
    """What an image is known by."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def identifier(image, purpose):
    """A UUID for something in this image: version 5."""
    return uuid.uuid5(SPACE, f"{image} {purpose}")


def run(*command, given=""):
    """Run a tool; where it fails, its last line is the reason.  It knows the date only as ours."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(int(DATE.timestamp())), "TZ": "UTC"}
    command = [str(word) for word in command]
    try:
        done = subprocess.run(
            command,
            env=environment,
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except FileNotFoundError:
        raise UserError(f"{command[0]} is not installed") from None
    if done.returncode:
        last = (done.stdout.strip().splitlines() or ["no message"])[-1]
        raise UserError(f"{command[0]}: {last}")
    return done.stdout


def write(path, data):
    """Write a file with holes for zeros."""
    zeros = bytes(HOLE)
    with open(path, "wb") as file:
        for at in range(0, len(data), HOLE):
            piece = data[at : at + HOLE]
            if piece != zeros[: len(piece)]:
                file.seek(at)
                file.write(piece)
        file.truncate(len(data))
