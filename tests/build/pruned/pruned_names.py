"""Names that are computed, though nobody calls getattr."""


def start(machine):
    print("<<<")
    get = getattr
    print([get("aB", name)() for name in ("up" + "per", "lower")], get(3, "real", None))
    print([method() for method in map(getattr, ("x ", "yy"), ("strip", "isalpha"))])
    print(">>>")
    if machine:
        machine.stop()
