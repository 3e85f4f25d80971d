"""Settings: words of the kernel command line over values compiled into the image.

`kernel address=10.0.0.2/24 log=debug quiet`: KEY=VALUE gives text, a bare word gives True.  What
stands later wins.  Boot loaders put the path of the image first; a bare word with a slash is that.
Left out: quotes; a value has no spaces.
"""


def parse(command_line):
    """The words of a command line as a dict."""
    words = {}
    for word in command_line.split():
        key, equals, value = word.partition("=")
        if equals:
            words[key] = value
        elif "/" not in word:
            words[word] = True
    return words


class Settings:
    """`get` looks in the command line, then in the image, then takes the caller's default."""

    def __init__(self, command_line="", compiled=None):
        self.values = dict(compiled or {})
        self.values.update(parse(command_line))

    def get(self, name, default=None):
        return self.values.get(name, default)

    def __contains__(self, name):
        return name in self.values
