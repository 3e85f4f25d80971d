"""`hashlib`: sha256 (MicroPython's, in C), sha1 and md5 (viper), new(name).

sha1 is what a WebSocket's handshake asks for (RFC 6455 4.2.2), md5 what old protocols do; neither
is for anything that has to be safe.  Each is in an image only if its name is used.
Left out: sha512 and the others of CPython; C's sha256 has no hexdigest and digests once.
"""

from _hashlib import sha256

_attrs = {"sha1": "_sha1", "md5": "_md5"}


def __getattr__(attr):
    part = _attrs.get(attr)
    if part is None:
        raise AttributeError(attr)
    value = getattr(__import__(part, None, None, True, 1), attr)
    globals()[attr] = value
    return value


def new(name, data=b""):
    """By name; those in the image, see above."""
    name = name.lower().replace("-", "")
    try:
        make = sha256 if name == "sha256" else __getattr__(name)
    except (AttributeError, ImportError):
        raise ValueError("unsupported hash type " + name)
    return make(data)
