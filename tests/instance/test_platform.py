"""runtime/platform/{smbios,fw_cfg}.py: what firmware and QEMU say, and what they might."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.platform import fw_cfg, smbios
from tests.support.metal import Machine

UUID = "12345678-9abc-def0-1234-56789abcdef0"
# 7.2.1: 12345678 9abc def0 as little-endian numbers, the rest as it is written.
RAW = bytes.fromhex("78563412bc9af0de123456789abcdef0")


def structure(kind, body, *texts):
    strings = b"".join(text + b"\0" for text in texts) or b"\0"
    return bytes([kind, 4 + len(body), 0, 1]) + body + strings + b"\0"


def system(*texts, uuid=RAW):
    body = bytes([1, 2, 0, 3]) + uuid + bytes([6, 0, 4])
    return structure(1, body, *texts)


TABLES = structure(0, b"\1", b"SeaBIOS") + system(
    b"OpenStack Foundation", b"OpenStack Nova", b"s/n", b"KubeVirt"
)
END = structure(127, b"")
WHERE = 0xE0000


def checked(data, at):
    return data[:at] + bytes([-sum(data) & 0xFF]) + data[at + 1 :]


def entry2(length, address=WHERE):
    inner = checked(b"_DMI_\0" + struct.pack("<HIHB", length, address, 1, 0x24), 5)
    return b"_SM_\0\x1f\2\4" + bytes(8) + inner


def entry3(length, address=WHERE):
    return checked(b"_SM3_\0\x18\3\0\0\1\0" + struct.pack("<IQ", length, address), 5)


class Memory:
    def __init__(self, tables, entry, at=0xF5A0):
        self.area = bytearray(b"\x5f" * 0x10000)
        self.area[at : at + len(entry)] = entry
        self.tables = tables
        self.outside = False

    def __call__(self, address, length):
        if address >= 0xF0000 and address + length <= 0x100000:
            return memoryview(self.area)[address - 0xF0000 :][:length]
        if address == WHERE and length <= len(self.tables):
            return memoryview(self.tables)[:length]
        self.outside = True
        return memoryview(bytes(length))


@pytest.mark.parametrize("at", [0, 0xFF0, 0xF5A0])
@pytest.mark.parametrize("entry", [entry2, entry3])
def test_system_information(entry, at):
    found = smbios.read(Memory(TABLES + END, entry(len(TABLES + END)), at))
    assert (found.manufacturer, found.product) == ("OpenStack Foundation", "OpenStack Nova")
    assert (found.serial, found.family, found.uuid) == ("s/n", "KubeVirt", UUID)


def test_no_uuid_and_numbers_of_texts_that_are_not_there():
    data = system(b"only one", uuid=bytes(16))
    found = smbios.parse(data)
    assert (found.manufacturer, found.product, found.serial, found.uuid) == ("only one", "", "", "")


def test_texts_are_fit_for_a_log():
    assert smbios.parse(system(b"a\x1b[2J\xff\nb")).manufacturer == "a[2Jb"


@pytest.mark.parametrize(
    "entry",
    [
        b"",
        b"_SM_" + bytes(27),
        entry2(100)[:20] + b"\1" + entry2(100)[21:],
        entry2(100)[:21] + bytes([entry2(100)[21] ^ 1]) + entry2(100)[22:],
        entry3(100)[:7] + b"\1" + entry3(100)[8:],
        entry3(100, 1 << 32),
        entry3(100, 0),
        b"_SM3_\0\xff" + bytes(24),
    ],
)
def test_entry_points_that_are_none(entry):
    memory = Memory(TABLES, entry)
    assert smbios.read(memory) is None and not memory.outside


def test_an_entry_point_at_the_very_end():
    memory = Memory(TABLES, b"_SM_", at=0xFFFC)
    assert smbios.read(memory) is None


@given(st.binary(max_size=300))
def test_no_table_raises(data):
    smbios.parse(data)
    smbios.parse(structure(0, b"") + data)
    smbios.parse(b"\1\x1b" + data)


class FwCfg:
    """The device: selector and data ports, DMA."""

    def __init__(self, machine, files, dma=True, honest=True):
        self.machine, self.honest = machine, honest
        self.items = {0: b"QEMU", 1: bytes([3 if dma else 1, 0, 0, 0])}
        listing = struct.pack(">I", len(files))
        for number, (name, data) in enumerate(files.items()):
            self.items[0x20 + number] = data
            listing += struct.pack(">IHH56s", len(data), 0x20 + number, 0, name.encode())
        self.items[0x19] = listing
        self.item, self.at, self.high = b"", 0, None
        machine.add_ports(0x510, self, 12)

    def load(self, offset, size):
        assert (offset, size) == (1, 1)
        self.at += 1
        return self.item[self.at - 1] if self.at <= len(self.item) else 0

    def store(self, offset, size, value):
        if offset == 0:
            self.item, self.at = self.items.get(value, b""), 0
        elif offset == 4:
            self.high = value
        else:
            assert offset == 8 and self.high == 0
            command = self.machine.physical(int.from_bytes(value.to_bytes(4, "big"), "little"), 1)
            control, length, address = struct.unpack(">IIQ", bytes(command[:16]))
            assert control & 0xFFFF == 0x0A
            if self.honest:
                data = self.items.get(control >> 16, b"")[:length].ljust(length, b"\0")
                self.machine.physical(address, 1)[:length] = data
                command[:4] = bytes(4)
            else:
                command[:4] = b"\0\0\0\1"


FILES = {"etc/table": b"x", "opt/org.importos/settings": b"a=b c", "opt/x": bytes(range(256)) * 9}


def test_fw_cfg_files():
    FwCfg(Machine(), FILES)
    found = fw_cfg.directory()
    assert set(found) == {name for name in FILES if name.startswith("opt/")}
    for name, item in found.items():
        assert fw_cfg.read(*item) == FILES[name]


def test_a_machine_without_fw_cfg():
    Machine()
    assert fw_cfg.directory() == {}


def test_fw_cfg_without_dma_is_left_alone():
    FwCfg(Machine(), FILES, dma=False)
    assert fw_cfg.directory() == {}


def test_a_device_that_fails():
    FwCfg(Machine(), FILES, honest=False)
    with pytest.raises(ValueError):
        fw_cfg.directory()


def test_a_file_that_is_too_large_is_not_read():
    FwCfg(Machine(), {"opt/big": b""})
    with pytest.raises(ValueError, match="too many"):
        fw_cfg.read(0x20, fw_cfg.LONGEST + 1)


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_no_directory_raises_anything_else(listing):
    device = FwCfg(Machine(), {})
    device.items[0x19] = listing
    try:
        for name in fw_cfg.directory():
            assert name.startswith("opt/")
    except ValueError:
        pass
