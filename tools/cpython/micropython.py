"""The module `micropython` for CPython: the same source runs here, with bounds checked.

On MicroPython `@micropython.viper` compiles to machine code and ptr8, ptr16 and ptr32 are bare
addresses.  Here they are objects that refuse what the machine would do silently: an index past the
end or below zero (IndexError), a cast of something that is not a buffer, a store into bytes, a
closure, an argument that does not fit 32 bits, a result that the machine would have to allocate.
Loads and stores are little-endian, ptr32 loads are signed, stores keep the low bits.

A folder of its own, put on sys.path only by CPython programs (tests, services run on the host).
Left out: the wrap-around of viper's 32-bit arithmetic in local variables.  Code that must wrap
says `& 0xffff`.
"""

import builtins
import functools
from struct import Struct

SMALL = 1 << 30  # a result outside +-2^30 becomes an object on the heap of a 32-bit machine
WORD = 1 << 32


# What lies at a physical address, for tests that have a machine: `physical(address, width)` gives a
# buffer that starts there, or an object that stands for registers and answers [index] itself.
physical = None
# And the other way: the address of what a pointer points to, `address_of(view)`.
address_of = None


class _Pointer:
    """What viper would see as an address; the subclasses differ in the width of an element."""

    __slots__ = ("view",)
    width = 1

    def __new__(cls, target):
        if isinstance(target, int):
            if physical is None:
                raise TypeError(f"{cls.__name__}({target:#x}): there is no physical memory here")
            target = physical(target % WORD, cls.width)
            if hasattr(target, "__setitem__") and not isinstance(target, bytearray | memoryview):
                return target
        pointer = object.__new__(cls)
        if isinstance(target, _Pointer):
            pointer.view = target.view
        else:
            view = memoryview(target)
            pointer.view = view if view.format == "B" else view.cast("B")
        return pointer

    def __int__(self):
        if address_of is None:
            raise TypeError("an address: there is no physical memory here")
        return address_of(self.view)


class ptr8(_Pointer):
    __slots__ = ()

    def __getitem__(self, index):
        if index < 0:
            raise IndexError(f"negative index {index} through ptr8")
        return self.view[index]

    def __setitem__(self, index, value):
        if index < 0:
            raise IndexError(f"negative index {index} through ptr8")
        self.view[index] = value & 0xFF


def _wide(name, load, store, mask):
    load, store = Struct(load), Struct(store)
    size = store.size

    def check(self, index):
        if index < 0 or (index + 1) * size > len(self.view):
            raise IndexError(f"{name}[{index}] of {len(self.view)} bytes")

    def __getitem__(self, index):
        check(self, index)
        return load.unpack_from(self.view, index * size)[0]

    def __setitem__(self, index, value):
        check(self, index)
        store.pack_into(self.view, index * size, value & mask)

    return type(
        name,
        (_Pointer,),
        {
            "__slots__": (),
            "__getitem__": __getitem__,
            "__setitem__": __setitem__,
            "width": size,
        },
    )


ptr16 = _wide("ptr16", "<H", "<H", 0xFFFF)
ptr32 = _wide("ptr32", "<i", "<I", 0xFFFFFFFF)


class ptr:
    """Only a name for annotations: an address without a width."""


class uint(int):
    """`uint(x)`: the 32 bits of x, without sign."""

    def __new__(cls, value=0):
        return int(value) % WORD


def const(value):
    return value


def native(function):
    return function


def bytecode(function):
    return function


def viper(function):
    """Convert and check what viper converts: pointer and integer arguments, and the result."""
    if function.__closure__:
        raise SyntaxError("viper miscompiles closures: " + function.__qualname__)
    code = function.__code__
    names = code.co_varnames[: code.co_argcount]
    annotations = function.__annotations__
    casts = [
        (i, annotations[n])
        for i, n in enumerate(names)
        if annotations.get(n) in (ptr8, ptr16, ptr32)
    ]
    words = [i for i, n in enumerate(names) if annotations.get(n) in (int, uint)]
    result = annotations.get("return") in (int, uint)
    if not casts and not words and not result:
        return function

    @functools.wraps(function)
    def call(*arguments):
        if casts:
            arguments = list(arguments)
            for position, cast in casts:
                arguments[position] = cast(arguments[position])
        for position in words:
            if not -(WORD >> 1) <= arguments[position] < WORD:
                raise OverflowError(
                    f"{function.__qualname__}: argument {position} is wider than 32 bits"
                )
        value = function(*arguments)
        if result and not -SMALL <= value < SMALL:
            raise OverflowError(f"{function.__qualname__}: result {value:#x} would be allocated")
        return value

    return call


def heap_lock():
    pass


def heap_unlock():
    pass


def alloc_emergency_exception_buf(size):
    pass


def opt_level(level=0):
    return level


# The compiler of MicroPython knows these names without an import.
for _name in ("ptr", "ptr8", "ptr16", "ptr32", "uint"):
    setattr(builtins, _name, globals()[_name])
