"""`logging`: the part of CPython's that programs call, over the machine's log.

    log = logging.getLogger(__name__);  log.warning("%s is late", name)

Levels are CPython's; what the machine's own level suppresses (setting log=) is suppressed, too.
Left out: handlers, formatters, filters; the arguments of basicConfig other than `level`.
"""

import sys

from runtime import waiting as _waiting

CRITICAL = 50
ERROR = 40
WARNING = 30
INFO = 20
DEBUG = 10
NOTSET = 0

_root_level = WARNING
_loggers = {}


class Logger:
    def __init__(self, name, level=NOTSET):
        self.name = name
        self.level = level

    def setLevel(self, level):
        self.level = level

    def getEffectiveLevel(self):
        return self.level or _root_level

    def isEnabledFor(self, level):
        return level >= self.getEffectiveLevel()

    def log(self, level, text, *values):
        if self.isEnabledFor(level):
            log = _waiting.machine().log
            if level >= ERROR:
                say = log.error
            elif level >= WARNING:
                say = log.warning
            else:
                say = log.info if level >= INFO else log.debug
            say(self.name + ": " + str(text), *values)

    def debug(self, text, *values):
        self.log(DEBUG, text, *values)

    def info(self, text, *values):
        self.log(INFO, text, *values)

    def warning(self, text, *values):
        self.log(WARNING, text, *values)

    warn = warning

    def error(self, text, *values):
        self.log(ERROR, text, *values)

    def critical(self, text, *values):
        self.log(CRITICAL, text, *values)

    def exception(self, text, *values, exc_info=None):
        self.log(ERROR, text, *values)
        if exc_info and hasattr(sys, "print_exception"):
            sys.print_exception(exc_info)


def getLogger(name="root"):
    if name not in _loggers:
        _loggers[name] = Logger(name)
    return _loggers[name]


def basicConfig(level=INFO, **_):
    global _root_level
    _root_level = level


def log(level, text, *values):
    getLogger().log(level, text, *values)


def debug(text, *values):
    getLogger().debug(text, *values)


def info(text, *values):
    getLogger().info(text, *values)


def warning(text, *values):
    getLogger().warning(text, *values)


def error(text, *values):
    getLogger().error(text, *values)


def critical(text, *values):
    getLogger().critical(text, *values)


def exception(text, *values, exc_info=None):
    getLogger().exception(text, *values, exc_info=exc_info)
