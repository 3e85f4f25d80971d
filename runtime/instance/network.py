"""What a cloud says about its networks, as settings of the stack.

OpenStack's network_data.json: `links` (id, MAC), `networks` on them, `services`.  A network of type
`ipv4` or `ipv6` has no DHCP, so its address is configured; `ipv4_dhcp`, `ipv6_slaac` and all others
configure themselves and are none of our business.

    settings, complaints = read(description, nics)
    check(name, value)          ValueError: a setting that the stack would stop at, whoever gave it

    {"address": "10.0.0.2/24", "gateway": "10.0.0.1", "mtu": "1450", "dns": "10.0.0.3",
     "static-routes": [(prefix, length, gateway), ...], "eth1.address6": "2001:db8::2/64", ...}

Law: a network that is not understood is left out whole, and a complaint says which.
Above: runtime/instance.  Below: net/ip4/internet.py and net/ip6/internet.py read the settings.
Left out: bonds and VLANs; routes of IPv6 but the default; a second IPv4 address of a device.
"""

from net.address import parse, parse_interface
from runtime.instance.userdata import is_name
from runtime.parts import part

# Settings of the stack that are words on their own nowhere.
VALUED = ("address", "address6", "gateway", "gateway6", "identifier6", "last-address", "mtu", "dns")
VALUED += (
    "secret6",
    "syslog",
    "buffers",
    "ntp",
    "search",
    "domain",
    "hostname",
    "static-routes",
    "ndots",
)

NUMBERS = {"mtu": 68, "ndots": 0, "buffers": 4}  # and what is the least of each

WRONG = (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError)


def read(description, nics):
    settings, complaints = {}, []
    servers = []
    try:
        links = {link["id"]: link for link in description.get("links") or ()}
        networks = [description] + list(description.get("networks") or ())  # noqa: RUF005
    except WRONG:
        return {}, ["it is not one"]
    for network in networks:
        try:
            kind = network.get("type")
            link = links.get(network.get("link"), {})
            if link.get("type") in ("bond", "vlan"):
                raise ValueError(f"its link is a {link['type']}")
            if kind in ("ipv4", "ipv6"):
                first = prefix_of(link["ethernet_mac_address"], nics)
                found = one(kind, network, link)
            elif network is not description:
                continue
            servers += name_servers(network)
            if network is description:
                continue
        except WRONG as error:
            complaints.append(f"a network: {error!r}")
            continue
        more = first + "address6"
        if kind == "ipv6" and more in settings:
            settings[more] += "," + found["address6"]
        elif first + next(iter(found)) not in settings:
            for name, value in found.items():
                settings[first + name] = value
    if settings and servers:
        settings["dns"] = ",".join(servers)
    return settings, complaints


def check(name, value):
    kind = name.split(".")[-1]
    size = 16 if kind[-1:] == "6" else 4
    if value is True:
        if kind in VALUED:
            raise ValueError("no value")
    elif kind == "static-routes" and not isinstance(value, list):
        raise ValueError("only a cloud has these")
    elif kind in ("address", "address6"):
        for piece in value.split(",") if size == 16 else [value]:
            of_size(piece.split("/")[0], size)
            parse_interface(piece)
    elif kind in ("gateway", "gateway6", "identifier6", "last-address"):
        of_size(value, size)
    elif kind in NUMBERS:
        if int(value) < NUMBERS[kind]:
            raise ValueError("too few")
    elif kind == "secret6" and len(bytes.fromhex(value)) != 16:
        raise ValueError("not 16 bytes")
    elif kind == "syslog":
        syslog = part("net.syslog")
        if syslog:
            syslog.parse_setting(value)
    elif kind in ("dns", "ntp"):
        for address in value.split(","):
            if kind == "dns" or ":" in address or address.replace(".", "").isdigit():
                parse(address)
    elif kind == "hostname" and not (0 < len(value) < 64 and is_name(value, "-.")):
        raise ValueError("not a host's name")


def prefix_of(mac, nics):
    """How the settings of the device with this MAC begin: "", "eth1."."""
    for i, nic in enumerate(nics):
        if ":".join([f"{byte:02x}" for byte in nic.mac]) == mac.lower():
            return nic.name + "." if i else ""
    raise ValueError(f"no device has its mac {mac}")


def name_servers(description):
    found = [s["address"] for s in description.get("services") or () if s["type"] == "dns"]
    for address in found:
        parse(address)
    return found


def one(kind, network, link):
    """The settings of one network, the address first."""
    size = 4 if kind == "ipv4" else 16
    _, length = prefix(network["ip_address"], network.get("netmask"), size)
    suffix = "6" if size == 16 else ""
    found = {"address" + suffix: f"{network['ip_address'].split('/')[0]}/{length}"}
    routes = []
    gateway = network.get("gateway")
    for route in network.get("routes") or ():
        start, bits = prefix(route["network"], route.get("netmask"), size)
        if bits == 0:
            gateway = gateway or route["gateway"]
        else:
            routes.append((start, bits, of_size(route["gateway"], size)))
    if gateway:
        of_size(gateway, size)
        found["gateway" + suffix] = gateway
    if size == 4:
        if routes:
            found["static-routes"] = routes
        if link.get("mtu"):
            found["mtu"] = str(int(link["mtu"]))
    return found


def of_size(text, size):
    address = parse(text)
    if len(address) != size:
        raise ValueError(f"{text} is of the other family")
    return address


def prefix(text, mask, size):
    """(address, prefix length) of "10.0.0.2" and "255.255.255.0", or of "10.0.0.2/24"."""
    text, slash, bits = text.partition("/")
    address = of_size(text, size)
    if not slash:
        value = int.from_bytes(of_size(mask, size), "big")
        bits = 0
        top = 8 * size
        while bits < top and value >> (top - 1 - bits) & 1:
            bits += 1
        if value & ((1 << (top - bits)) - 1):
            raise ValueError(f"{mask} has holes")
    bits = int(bits)
    if not 0 <= bits <= 8 * size:
        raise ValueError(f"{text}/{bits}: no such prefix")
    return address, bits
