"""`network`: interfaces as programs for boards expect them; there is one, and it is up by itself.

    lan = network.LAN();  lan.active(True)
    while not lan.isconnected(): ...
    address, mask, gateway, server = lan.ifconfig()

WLAN is the same: connect() with whatever name and key is taken and changes nothing, since the cable
is there.  How the machine gets its address say the settings, else DHCP.
Left out: setting an address (ifconfig with an argument); scanning, access points, IPv6.
"""

from net.address import mask as _mask
from net.address import text as _text
from runtime import waiting as _waiting

STA_IF = 0
AP_IF = 1
STAT_IDLE = 0
STAT_CONNECTING = 1
STAT_GOT_IP = 3

_host = "importos"


def hostname(name=None):
    global _host
    _host = name or _host
    return _host


class LAN:
    def __init__(self, *arguments, **named):
        pass

    def active(self, up=None):
        return True

    def connect(self, *arguments, **named):
        pass

    def isconnected(self):
        try:
            return bool(_waiting.stack().address)
        except OSError:
            return False

    def status(self, what=None):
        return STAT_GOT_IP if self.isconnected() else STAT_CONNECTING

    def ifconfig(self):
        inet = _waiting.stack()
        ones = _mask(max(inet.routes.match(inet.address), 0))
        nowhere = bytes(4)
        server = inet.dns[0] if inet.dns else nowhere
        return tuple([_text(one) for one in (inet.address, ones, inet.gateway or nowhere, server)])

    def config(self, name):
        if name == "mac":
            return bytes(_waiting.machine().nic.mac)
        if name == "hostname":
            return _host
        raise ValueError("unknown config param")


class WLAN(LAN):
    PM_NONE = 0
    IF_STA = STA_IF

    def disconnect(self):
        pass
