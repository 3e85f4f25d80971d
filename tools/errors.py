"""The one exception that means "you, the user": a sentence, shown without traceback."""


class UserError(Exception):
    """Something the user can put right; `str(error)` says what, on one line."""


def at(file, line, text):
    """A UserError that points at a line of source, in the form editors understand."""
    return UserError(f"{file}:{line}: {text}")
