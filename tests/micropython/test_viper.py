"""What the viper emitter makes of operands that wait in registers, where random programs found it
wrong.  Each function gives the same on CPython, with 32 bits.
"""

import subprocess

import pytest

PROGRAMS = {
    "negative of a variable leaves it": ("def f(x: int) -> int:\n return -x * 1000 + x", -4995),
    "inverse of a variable leaves it": ("def f(x: int) -> int:\n return ~x * 1000 + x", -5995),
    "negative of a variable that is assigned": (
        "def f(x: int) -> int:\n y = -x\n z = ~y\n return x * 10000 + y * 100 + z",
        50000 - 500 + 4,
    ),
    "cast of a value on the stack while another waits": (
        "def f(x: int) -> int:\n"
        " a = b = c = x\n"
        " i = 0\n"
        " while i < 3:\n"
        "  a += b + c + a + b + c\n"
        "  i += 1\n"
        " return a * 0 + (((i - uint(1)) + (-255)) + int((x := x + (-1000))))",
        -1248,
    ),
}


@pytest.mark.parametrize("what", PROGRAMS)
def test_operands_that_wait_keep_their_values(micropython_linux, what):
    function, expected = PROGRAMS[what]
    program = f"import micropython\n@micropython.viper\n{function}\nprint(f(5))"
    done = subprocess.run(
        [micropython_linux, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == str(expected), done.stderr
