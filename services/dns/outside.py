"""What the operator of a name server says without building it again: its zone, and who may have it.

    zone    a compiled zone (build/dns/needs/zone of `./importos build dns --set zone=my.zone`), as
            the file `zone` of a NoCloud volume, as {"files": {"zone": BASE64}} in the user data,
            or as -fw_cfg name=opt/org.importos/file/zone,file=...
    axfr    a setting, see stream.py

In images for a cloud (tools/image/cloud.py).  What is wrong is a line in the log, and the server
serves what it was built with, to nobody as a whole.
Law: a table of this version and of the length that it says is believed: it comes from whom the
image comes from.
"""

from runtime.parts import part
from services.dns.table import Table


def choose(machine, zone):
    """The zone to serve, `zone` unless there is another one; settles `axfr`."""
    if not machine.instance:
        return zone  # a process, where every module can be found
    log, values = machine.log, machine.settings.values
    stream = part("services.dns.stream")
    try:
        if stream:
            stream.parse_prefixes(values.get("axfr", ""))
    except (ValueError, AttributeError):
        log.warning("axfr is not understood: no transfers")
        values["axfr"] = ""
    try:
        found = machine.instance.file("zone")
        if found is not None:
            Table(found, None)
            log.info("zone: %d bytes from outside", len(found))
            return found
    except (ValueError, TypeError) as error:
        log.warning("zone: %s; serving the image's", error)
    return zone
