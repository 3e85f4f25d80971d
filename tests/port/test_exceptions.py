"""Every exception the processor can raise in ring 0 ends in a panic with registers and build id.

The service `code` executes the machine code on its command line.  Left out: the exceptions that
need failing hardware (machine check), another ring (alignment check), paging (page fault) or more
than the emulator does (SIMD floating point).
"""

import re

import pytest

from tests.support import images, vm

pytestmark = [pytest.mark.vm, pytest.mark.timeout(600)]
SERVICE = images.ROOT / "tests" / "port" / "services" / "code.py"
PANIC = 3  # isa-debug-exit makes (1 << 1) | 1 of the status

EXCEPTIONS = {
    "debug": (1, "cd01"),
    "breakpoint": (3, "cc"),
    "overflow": (4, "cd04"),
    "bound range": (5, "6a006a00b87f000000620424"),  # bound eax, [esp]
    "invalid opcode": (6, "0f0b"),
    # mov eax, cr0; or al, 8 (TS); mov cr0, eax; fninit
    "device not available": (7, "0f20c00c080f22c0dbe3"),
    # an interrupt table that ends before vector 13; int 32 is then a protection fault without gate
    "double fault": (8, "83ec080f010c2466c7042447000f011c24cd20"),
    # sidt; the gate of vector 64 becomes an interrupt gate that is not present; int 64
    "segment not present": (11, "83ec080f010c248b442402c680050200000ecd40"),
    "protection fault": (13, "66b8f0ff8ed8"),  # mov ds, 0xfff0: beyond the table
    # divide by zero with the exception unmasked: fninit; fldcw; fld1; fldz; fdivp; fwait
    "x87 floating point": (16, "dbe36a00d92c24d9e8d9eedef99b"),
}


@pytest.fixture(scope="module")
def elf(image):
    return image(str(SERVICE)) / "code.elf"


@pytest.mark.parametrize("name", EXCEPTIONS)
def test_exception_panics_with_registers_traceback_and_build_id(elf, name):
    vector, code = EXCEPTIONS[name]
    with vm.Machine(elf, command_line=f"panic=exit code={code}") as guest:
        assert guest.wait() == PANIC, guest.text
        text = guest.text
    assert f"PANIC: CPU exception {vector}: {name}\n" in text
    assert re.search(r"^eip=[0-9a-f]{8} cs=0008 eflags=[0-9a-f]{8}", text, re.MULTILINE)
    assert re.search(
        r"^esi=[0-9a-f]{8} edi=[0-9a-f]{8} ebp=[0-9a-f]{8} esp=000[0-9a-f]{5}", text, re.MULTILINE
    )
    assert re.search(r'File "code.py", line \d+, in start', text), text
    assert re.search(r"^build [0-9a-f]{12}, booted by multiboot$", text, re.MULTILINE)


def test_non_maskable_interrupt_panics(image):
    with vm.Machine(
        image("echo") / "echo.elf", command_line="panic=exit address=10.0.0.2/24", nic=vm.Slirp({})
    ) as guest:
        guest.wait_for("10.0.0.2")
        guest.monitor.execute("inject-nmi")
        assert guest.wait() == PANIC
        assert "PANIC: CPU exception 2: non-maskable interrupt" in guest.text


def test_code_that_returns_is_no_exception(elf):
    with vm.Machine(elf, command_line="panic=exit code=b80f000000") as guest:  # mov eax, 15
        assert guest.wait() == 1
        assert "result 7\n" in guest.text  # 15 is how MicroPython spells the small integer 7


def test_stack_overflow_of_c_code_is_found(elf):
    """Python checks its depth itself; words below the stack show whether C went too deep."""
    code = "c7050000080000000000"  # mov dword [0x80000], 0
    with vm.Machine(elf, command_line=f"panic=exit code={code}") as guest:
        assert guest.wait() == PANIC, guest.text
        assert "PANIC: stack overflow" in guest.text
