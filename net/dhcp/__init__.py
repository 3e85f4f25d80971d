"""DHCP: an IPv4 address, and what comes with it.  RFC 2131.  See client.py."""

from net.dhcp.client import Dhcp

__all__ = ["Dhcp"]
