"""Parts: modules that not every image has, looked for by name.

What brings them into an image is said in tools/image/closure.py (COMPANIONS, PARTS) and cloud.py.
"""

try:
    from metal import has
except ImportError:

    def has(name):
        """A process has the modules that it finds."""
        return True


def part(name):
    """The module, if it is in the image, else None."""
    if not has(name):
        return None
    try:
        return __import__(name, None, None, ("*",))
    except ImportError:
        return None
