"""Log: lines on the console, each with the time since start and a level.

    [    0.012] eth0: link is up
    [    0.019] warning: eth1: no device ...

Law: a line is written whole before the call returns, so that none is lost, not even the last one
before a panic.  A line that its level suppresses costs a call and no formatting.
Neighbours: net/syslog.py, a sink that sends lines to another machine.
"""

from micropython import const

ERROR = const(0)
WARNING = const(1)
INFO = const(2)
DEBUG = const(3)
LEVELS = ("error", "warning", "info", "debug")


class Log:
    """`write(text)` takes the lines, `clock()` gives milliseconds since start."""

    def __init__(self, write, clock, level=INFO):
        self.write = write
        self.clock = clock
        self.level = level
        self.sink = None  # slot (level, text): hears every line, too

    def set_level(self, name):
        """One of LEVELS, as the setting `log=` gives it."""
        if name not in LEVELS:
            raise ValueError(f"log={name}: must be one of " + ", ".join(LEVELS))
        self.level = LEVELS.index(name)

    def error(self, text, *values):
        self.line(ERROR, text, values)

    def warning(self, text, *values):
        self.line(WARNING, text, values)

    def info(self, text, *values):
        self.line(INFO, text, values)

    def debug(self, text, *values):
        self.line(DEBUG, text, values)

    def line(self, level, text, values):
        if level > self.level:
            return
        if values:
            text = text % values
        if self.sink:
            self.sink(level, text)
        now = self.clock()
        level = "" if level == INFO else LEVELS[level] + ": "
        # Format specifiers are 100 blocks of machine code that nothing else needs at the start.
        self.write("[%5d.%03d] %s%s\n" % (now // 1000, now % 1000, level, text))  # noqa: UP031
