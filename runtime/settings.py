"""Settings: words of the kernel's command line over values compiled into the image.

`kernel address=10.0.0.2/24 log=debug quiet`: KEY=VALUE gives text, a bare word gives True.  What
stands later wins.  Boot loaders put the path of the image first: a bare word with a slash or a dot
is that.
Who asks for a setting says that it is one, so that runtime/ready.py can name those that nobody has
asked for, which are mistyped, or of another image.  Those of the image (--set, NEEDS) the build has
looked at.
Left out: quotes; a value has no spaces.
"""

KERNEL = "panic"  # is read by C, port/cpu/panic.c


def parse(command_line):
    """The words of a command line as a dict."""
    words = {}
    for word in command_line.split():
        pair = word.split("=", 1)
        if len(pair) == 2:
            words[pair[0]] = pair[1]
        elif "/" not in word and "." not in word:
            words[word] = True
    return words


class Settings:
    """`get` looks in the command line, then in the image, then takes the caller's default."""

    def __init__(self, command_line="", compiled=None):
        self.compiled = compiled or {}
        self.values = values = parse(command_line)
        for name in self.compiled:
            if name not in values:
                values[name] = self.compiled[name]
        self.asked = {KERNEL: True}

    def get(self, name, default=None):
        self.asked[name] = True
        return self.values.get(name, default)

    def __contains__(self, name):
        self.asked[name] = True
        return name in self.values

    def strange(self):
        """Those that somebody has given and nobody has asked for so far."""
        known = self.asked
        return ", ".join(
            [name for name in self.values if name not in known and name not in self.compiled]
        )
