"""What all that speaks DNS shares: the wire format.  See wire.py."""
