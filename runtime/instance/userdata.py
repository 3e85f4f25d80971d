"""User data: what the owner of an instance tells it.  As much of it as are settings.

    {"settings": {"axfr": ["10.0.0.0/8"], "log": "debug"}, ...}     JSON; the rest is the service's
    {"axfr": "10.0.0.0/8", "log": "debug"}      JSON without "settings" and "files": all settings

    # Python: lines NAME = LITERAL
    axfr = ["10.0.0.0/8", "2001:db8::/32"]
    log = "debug"

    settings, complaint = parse(data)       {name: text}, and why there are none, or ""

A value is a text, a whole number, a truth ("yes", "no"), or a list of these (joined by commas).
Law: settings are used whole or not at all.  No text of the user's is in a complaint, only names and
lines: it may be secret.
Left out: what cloud-init understands (scripts, #cloud-config, parts of a mail); None; a literal of
several lines; fractions.
"""

import json

ENTRIES = 256
LONGEST_NAME = 64
FORMATS = {
    "#!": "a shell script: there is no shell",
    "#cloud-": "cloud-init's",
    "#include": "cloud-init's",
    "content-type:": "cloud-init's, a mail with parts",
    "mime-version:": "cloud-init's, a mail with parts",
}
UNDERSTOOD = "understood are JSON and lines NAME = LITERAL"
GZIP = b"\x1f\x8b"
MARK = "\ufeff"  # how some editors begin a file of UTF-8
ESCAPES = {"n": "\n", "t": "\t", "\\": "\\", "'": "'", '"': '"'}
WORDS = {"True": True, "False": False}


def parse(data):
    if data[:2] == GZIP:
        return {}, "compressed; " + UNDERSTOOD
    try:
        text = str(data, "utf-8").lstrip(MARK).strip()
    except ValueError:
        return {}, "not text: left to the service"
    start = text[:16].lower()
    for known, what in FORMATS.items():
        if start.startswith(known):
            return {}, f"{what}; {UNDERSTOOD}"
    try:
        return settings_of(from_json(text) if text.startswith("{") else from_lines(text)), ""
    except ValueError as error:
        return {}, f"{error}; {UNDERSTOOD}"


def load(text):
    """What a JSON text means, a ValueError without anything of it where it means nothing."""
    try:
        found = json.loads(text)
    except (ValueError, RuntimeError, MemoryError):  # the last two: too deep
        raise ValueError("not JSON") from None
    # MicroPython's parser takes what ends too early; then it takes one bracket more, too.
    try:
        json.loads(text + "}")
    except (ValueError, RuntimeError, MemoryError):
        return found
    raise ValueError("JSON that ends too early")


def from_json(text):
    found = load(text)
    if not isinstance(found, dict):
        raise ValueError("not JSON")
    inner = found.get("settings", {} if isinstance(found.get("files"), dict) else found)
    if not isinstance(inner, dict):
        raise ValueError("settings are not an object")
    return inner


def settings_of(values):
    if len(values) > ENTRIES:
        raise ValueError(f"more than {ENTRIES} settings")
    found = {}
    for name, value in values.items():
        if not 0 < len(name) <= LONGEST_NAME or not is_name(name, "_-."):
            raise ValueError("a name that no setting has")
        found[name] = text_of(name, value)
    return found


def is_name(text, more):
    """Whether it is of letters and digits of ASCII, and of those characters."""
    return all(c in more or (c < "\x7f" and (c.isalpha() or c.isdigit())) for c in text)


def shown(text):
    """A text of somebody else as it may be in the log."""
    return "".join([c if " " <= c <= "~" else "?" for c in text[:80]])


def text_of(name, value):
    if isinstance(value, (list, tuple)):
        return ",".join([text_of(name, item) for item in value])
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return value
    raise ValueError(f"{name} is neither text, number, truth nor a list of these")


def from_lines(text):
    """Lines NAME = LITERAL."""
    found = {}
    for number, line in enumerate(text.split("\n")):
        line = line.strip()
        if line and line[0] != "#":
            name, equals, rest = line.partition("=")
            try:
                if not equals or not name.strip():
                    raise ValueError
                found[name.strip()], rest = literal(rest.strip())
                if rest and rest[0] != "#":
                    raise ValueError
            except (ValueError, IndexError):
                raise ValueError(f"line {number + 1} is not NAME = LITERAL") from None
    return found


def literal(text):
    """(the value that `text` begins with, what follows)."""
    first = text[0]
    if first not in "[(":
        return scalar(text)
    close = "]" if first == "[" else ")"
    values = []
    text = text[1:].lstrip()
    while text[0] != close:
        value, text = scalar(text)
        values.append(value)
        if text[0] == ",":
            text = text[1:].lstrip()
        elif text[0] != close:
            raise ValueError
    return values, text[1:].lstrip()


def scalar(text):
    quote = text[0]
    if quote not in "'\"":
        end = 0
        while end < len(text) and (text[end].isalpha() or text[end].isdigit() or text[end] in "-_"):
            end += 1
        word = text[:end]
        return WORDS[word] if word in WORDS else int(word), text[end:].lstrip()
    value = ""
    at = 1
    while text[at] != quote:
        c = text[at]
        at += 1
        if c == "\\":
            if text[at] not in ESCAPES:
                raise ValueError
            c = ESCAPES[text[at]]
            at += 1
        value += c
    return value, text[at + 1 :].lstrip()
