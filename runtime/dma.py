"""The DMA arena: memory that devices read and write, outside the garbage-collected heap.

Handed out once at start-up and never taken back; it lies below 1 GiB, so that every address is a
small integer.
"""


class Arena:
    def __init__(self, address, length):
        self.address = address
        self.end = address + length

    @property
    def free(self):
        return self.end - self.address

    def take(self, length, align=64):
        """The address of `length` bytes; their content is whatever was there."""
        address = (self.address + align - 1) & -align
        if address + length > self.end:
            raise MemoryError(f"the DMA arena has {self.free} bytes left, not {length}")
        self.address = address + length
        return address
