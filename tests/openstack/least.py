"""The least that can be deployed: a boot sector that prints the readiness marker and halts.

    python -m tests.openstack.least SERVICE_FOLDER NAME ...      deploy what lies in a folder

What it takes from upload to that line is what the cloud and the firmware take; the rest is ours.
As a command it is `./importos deploy openstack` with a folder instead of a build, and prints the
seconds from the first byte of the upload to the marker in the console log.
"""

import json
import struct
import subprocess
import sys
import time
from pathlib import Path

LINE = b"[    0.000] ready: least\r\n"
# 16-bit code at 0x7c00.   xor ax,ax; mov ds,ax; mov si,LINE
# next: lodsb; test al,al; jz end; mov ah,al; mov dx,0x3fd
# wait: in al,dx; test al,0x20; jz wait; mov dx,0x3f8; mov al,ah; out dx,al; jmp next
# end:  cli; hlt; jmp end
CODE = bytes.fromhex(
    "31c08ed8be0000"  # the address is filled in below
    "ac84c0741288c4bafd03"
    "eca82074fbbaf80388e0eeebe9"
    "faf4ebfc"
)
ORIGIN = 0x7C00


def boot_sector():
    """Padded to one cylinder: SeaBIOS does not boot a smaller virtio disk."""
    code = CODE.replace(b"\xbe\0\0", b"\xbe" + struct.pack("<H", ORIGIN + len(CODE)), 1)
    sector = (code + LINE + b"\0").ljust(510, b"\0") + b"\x55\xaa"
    return sector.ljust(16 * 63 * 512, b"\0")


def folder(parent):
    """A folder as a build makes it."""
    made = Path(parent) / "least-cloud"
    made.mkdir()
    write(made, boot_sector())
    report = {"ports": [], "totals": {"flat": 512, "bss": 0}}
    (made / "report.json").write_text(json.dumps(report))
    return made


def write(folder, sector):
    """Another image in such a folder."""
    raw = folder / "least-cloud.img"
    raw.write_bytes(sector)
    convert = ["qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2"]
    subprocess.run([*convert, raw, raw.with_suffix(".qcow2")], check=True)


def main(path, name, *words):
    from tools import cli

    began = []

    def build(options):
        began.append(time.monotonic())
        return Path(path)

    cli.build = build
    status = cli.main(["deploy", "openstack", "hello", "--name", name, *words])
    print(f"{time.monotonic() - began[0]:.2f} s from upload to marker")
    return status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
