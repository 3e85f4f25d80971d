"""The definition of a domain: what libvirt is told about one machine.

https://libvirt.org/formatdomain.html.  Everything a machine of ours has a driver for, and nothing
else: no display, no USB.  Our tag is an element of a namespace of its own in <metadata>; it
survives whatever others do to the definition.  The processor is QEMU's plainest, which has all that
an image needs, and which every host has: so a machine can be moved between any two.
"""

import hashlib
import xml.etree.ElementTree as xml
from typing import NamedTuple

NAMESPACE = "urn:importos:machine"
AGENT = "org.qemu.guest_agent.0"
FW_CFG = "opt/org.importos/"
xml.register_namespace("importos", NAMESPACE)


class Wanted(NamedTuple):
    """What the user chose."""

    machine: str  # pc or q35
    memory: int  # bytes
    network: str  # a name, bridge=NAME or user
    kind: str  # kvm or qemu
    pool: str
    configuration: tuple = ()  # (name, text): what the machine finds in fw_cfg


def definition(name, service, wanted, volume, log, version):
    """The XML of a domain as text."""
    domain = xml.Element("domain", type=wanted.kind)
    add(domain, "name", text=name)
    tag = add(add(domain, "metadata"), f"{{{NAMESPACE}}}machine")
    tag.set("service", service)
    tag.set("version", version)
    add(domain, "memory", text=str(wanted.memory // 1024), unit="KiB")
    add(domain, "vcpu", text="1")
    system = add(domain, "os")
    add(system, "type", text="hvm", arch="x86_64", machine=wanted.machine)
    add(system, "boot", dev="hd")
    if wanted.configuration:
        information = add(domain, "sysinfo", type="fwcfg")
        for entry, text in wanted.configuration:
            add(information, "entry", text=text, name=f"{FW_CFG}{entry}")
    features = add(domain, "features")
    for feature in ("acpi", "apic"):
        add(features, feature)
    add(domain, "clock", offset="utc")
    for event, action in (("poweroff", "destroy"), ("reboot", "restart"), ("crash", "restart")):
        add(domain, f"on_{event}", text=action)
    devices(add(domain, "devices"), wanted, volume, log)
    xml.indent(domain)
    return xml.tostring(domain, encoding="unicode") + "\n"


def devices(into, wanted, volume, log):
    add(into, "controller", type="usb", model="none")
    disk = add(into, "disk", type="volume", device="disk")
    add(disk, "driver", name="qemu", type="qcow2")
    add(disk, "source", pool=wanted.pool, volume=volume)
    add(disk, "target", dev="vda", bus="virtio")
    into.append(interface(wanted.network))
    serial = add(into, "serial", type="pty")
    add(serial, "log", file=log, append="off")
    add(serial, "target", type="isa-serial", port="0")
    add(add(into, "console", type="pty"), "target", type="serial", port="0")
    channel = add(into, "channel", type="unix")
    add(channel, "target", type="virtio", name=AGENT)
    add(add(into, "rng", model="virtio"), "backend", text="/dev/urandom", model="random")
    add(into, "watchdog", model="i6300esb", action="reset")
    add(into, "panic", model="isa")
    add(add(into, "memballoon", model="virtio"), "stats", period="10")
    add(add(into, "video"), "model", type="none")


def interface(network):
    """A virtio network card on a network of libvirt's, a bridge of the host, or QEMU's own."""
    kind, _, name = network.rpartition("=")
    if network == "user":
        element = xml.Element("interface", type="user")
    else:
        kind = kind or "network"
        element = xml.Element("interface", type=kind)
        add(element, "source", **{kind: name})
    add(element, "model", type="virtio")
    return element


def version(image, wanted):
    """What a machine is made of, as a short hash."""
    return hashlib.sha256(image + repr(wanted).encode()).hexdigest()[:16]


def tag(text):
    """(service, version) of a domain that we defined, or None; `text` is its XML, if there is
    one."""
    try:
        found = xml.fromstring(text or "").find(f"metadata/{{{NAMESPACE}}}machine")
    except xml.ParseError:
        return None
    return None if found is None else (found.get("service", ""), found.get("version", ""))


def files(text):
    """(pool, volume, log file) of a domain that we defined."""
    domain = xml.fromstring(text)
    source, log = domain.find("devices/disk/source"), domain.find("devices/serial/log")
    pool, volume = (None, None) if source is None else (source.get("pool"), source.get("volume"))
    return pool, volume, None if log is None else log.get("file")


def add(parent, name, /, text=None, **attributes):
    element = xml.SubElement(parent, name, attributes)
    element.text = text
    return element
