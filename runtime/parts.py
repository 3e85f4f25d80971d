"""Parts: modules that not every image has, looked for by name.

What brings them into an image is said in tools/image/closure.py (COMPANIONS, PARTS) and cloud.py.
"""


def part(name):
    """The module, if it is in the image, else None."""
    try:
        return __import__(name, None, None, ("*",))
    except ImportError:
        return None
