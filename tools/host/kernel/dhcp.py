"""Dhcp: the kernel has addresses already."""


class Dhcp:
    """Takes the place of net.dhcp's, which Inet would call."""

    def __init__(self, inet):
        pass
