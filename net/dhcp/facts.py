"""What a DHCP server says about the network beyond an address, as Stack.learn takes it.

RFC 2132 (options), 3397 (domain search), 8910 (captive portal).  In images in which somebody asks
for it, as for `inet.dns` (tools/image/closure.py, PARTS).
Above: message.py, inform.py.
"""

from net.dhcp.message import (
    CAPTIVE_PORTAL,
    DOMAIN,
    DOMAIN_SEARCH,
    HOST_NAME,
    NAME_SERVER,
    TIME_SERVER,
    Malformed,
    addresses,
)


def parse_search(value):
    """RFC 3397: domain names, which may end where an earlier one goes on (RFC 1035 4.1.4)."""
    names = []
    at = 0
    while at < len(value):
        name, at = parse_name(value, at)
        names.append(name)
    return names


def parse_name(value, at):
    """A name and the offset behind it."""
    labels = []
    after = None
    while True:
        if at >= len(value):
            raise Malformed
        length = value[at]
        if length == 0:
            at += 1
            break
        if length >= 0xC0:
            # Only ever backwards, so that it ends.
            target = (length & 0x3F) << 8 | value[at + 1] if at + 1 < len(value) else at
            if after is None:
                after = at + 2
            if target >= at:
                raise Malformed
            at = target
            continue
        label = value[at + 1 : at + 1 + length]
        if length > 63 or len(label) < length or len(labels) == 127:
            raise Malformed
        labels.append(plain(label))
        at += 1 + length
    if not labels:
        raise Malformed
    return ".".join(labels), at if after is None else after


def plain(value):
    """Text without surprises for who shows it."""
    if not value or min(value) < 0x21 or max(value) > 0x7E:
        raise Malformed
    return str(bytes(value), "ascii")


def optional_text(options, code):
    # Some servers send a zero behind it (RFC 2132 section 2).
    value = options.get(code, b"").rstrip(b"\0")
    return plain(value) if value else ""


def facts(options):
    domain = optional_text(options, DOMAIN)
    search = parse_search(options.get(DOMAIN_SEARCH, b""))
    return {
        "dns": addresses(options, NAME_SERVER),
        "domain": domain,
        "search": search or ([domain] if domain else []),
        "ntp": addresses(options, TIME_SERVER),
        "captive": optional_text(options, CAPTIVE_PORTAL),
        "hostname": optional_text(options, HOST_NAME),
    }
