"""Accept-Encoding, RFC 9110 sections 12.4.2 and 12.5.3: may this be sent compressed, must it?"""


def choose(field, has_gzip):
    """ "gzip", "identity", or None if the client takes neither; `field` may be empty."""
    gzip = identity = rest = None
    for part in field.lower().split(","):
        name, _, parameters = part.strip(" \t").partition(";")
        name = name.strip(" \t")
        weight = _weight(parameters)
        if name in ("gzip", "x-gzip"):
            gzip = weight
        elif name == "identity":
            identity = weight
        elif name == "*":
            rest = weight
    if gzip is None:
        gzip = rest or 0
    if identity is None:
        # Always acceptable, unless it is excluded; but only if nothing else was asked for.
        identity = 1 if rest is None else rest
    if has_gzip and gzip and gzip >= identity:
        return "gzip"
    return "identity" if identity else None


def _weight(parameters):
    """A quality from 0 to 1000; 1000 where there is none, 0 where it is malformed."""
    for parameter in parameters.split(";"):
        name, equals, value = parameter.strip(" \t").partition("=")
        if name.strip(" \t") == "q" and equals:
            whole, _, digits = value.strip(" \t").partition(".")
            digits = (digits + "000")[:3]
            if whole not in ("0", "1") or not digits.isdigit():
                return 0
            return min(int(whole) * 1000 + int(digits), 1000)
    return 1000
