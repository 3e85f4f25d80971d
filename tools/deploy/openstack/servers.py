"""Servers in Nova: choosing flavor, network and security group, making, stopping, deleting.

A server says in its metadata what it runs (SERVICE_TAG) and in which version: a hash of image and
user data, so that the same command twice changes nothing.  Nova gives one name to several servers;
of two that commands made at the same moment, the older one stays.
Left out: several interfaces with fixed addresses, scheduler hints (a Heat template can).
"""

import base64
import functools
import hashlib
import time

from tools.deploy.provider import SERVICE_TAG, Instance
from tools.errors import UserError

VERSION_TAG = "importos_version"
IMAGE_TAG = "importos_image"  # the image's id, also where the disk is a volume
RUN_TAG = "importos_run"  # of the command that made it
LARGEST_USER_DATA = 65535  # bytes of base64, Nova's limit
POLL = 0.5  # seconds
OFF, ON, FAILED = "shutoff", "active", "error"
GIGABYTE = 1  # of a volume to boot from: the smallest there is
DELETION = 60  # seconds


def user_data(path):
    """The contents of a file as Nova wants them, or None."""
    if path is None:
        return None
    try:
        with open(path, "rb") as file:
            encoded = base64.b64encode(file.read()).decode()
    except OSError as error:
        raise UserError(f"--user-data {path}: {error.strerror}") from None
    if len(encoded) > LARGEST_USER_DATA:
        raise UserError(f"--user-data {path}: clouds take {LARGEST_USER_DATA * 3 // 4:,} bytes")
    return encoded


class Servers:
    def __init__(self, cloud, run):
        self.cloud, self.run = cloud, run

    @functools.cached_property
    def flavors(self):
        with self.cloud.errors("asking for flavors"):
            return list(self.cloud.sdk.compute.flavors())

    def flavor(self, wanted):
        """The flavor of that name or id."""
        for flavor in self.flavors:
            if wanted in (flavor.name, flavor.id):
                return flavor
        there = ", ".join(sorted(flavor.name for flavor in self.flavors)) or "none"
        raise UserError(f"--flavor {wanted}: {self.cloud.name} has {there}")

    def fitting(self, wanted, ram, disk, volume):
        """The flavor that was wanted, else the smallest that the image fits in."""
        room = f"{ram} MB of memory and {disk} GB of disk"
        fits = [f for f in self.flavors if f.ram >= ram and (volume or f.disk >= disk)]
        if wanted:
            flavor = self.flavor(wanted)
            if flavor not in fits:
                has = f"{flavor.ram} MB and {flavor.disk} GB"
                raise UserError(f"--flavor {wanted} has {has}: the image needs {room}")
            return flavor
        if not fits:
            raise UserError(f"{self.cloud.name} has no flavor with {room}")
        return min(fits, key=lambda f: (f.ram, f.vcpus, f.disk, f.name))

    @functools.cached_property
    def known_networks(self):
        with self.cloud.errors("asking for networks"):
            return list(self.cloud.sdk.network.networks())

    def networks(self, wanted):
        """What to attach to: networks by name or id, or the only one there is."""
        if wanted == ["none"]:
            return "none"
        known = self.known_networks
        if wanted:
            chosen = []
            for text in wanted:
                found = [network for network in known if text in (network.name, network.id)]
                if len(found) != 1:
                    there = ", ".join(sorted(network.name for network in known)) or "none"
                    why = "several have that name" if found else f"{self.cloud.name} has {there}"
                    raise UserError(f"--network {text}: {why}")
                chosen += found
            return [{"uuid": network.id} for network in chosen]
        usable = [network for network in known if not network.is_router_external]
        if len(usable) != 1:
            there = ", ".join(sorted(network.name for network in usable)) or "none"
            raise UserError(f"which network? --network NAME: {self.cloud.name} has {there}")
        return [{"uuid": usable[0].id}]

    def security_group(self, service, ports, made):
        """The id of a group that lets in what the service declares, and pings; as it is where it
        exists, else `made(name)` is called at once: rules may fail.  Of two that commands made at
        the same moment, the older one is taken.
        """
        network = self.cloud.sdk.network
        name = f"importos-{service}"
        with self.cloud.errors("making the security group"):
            there = self.groups(name)
            if there:
                return there[0].id
            group = network.create_security_group(
                name=name, description=f"What {service} listens on, as its image says"
            )
            first = self.groups(name)[:1]
            if first and first[0].id != group.id:
                network.delete_security_group(group, ignore_missing=True)
                return first[0].id
            made(name)
            for family, echo in (("IPv4", "icmp"), ("IPv6", "ipv6-icmp")):
                rules = [(echo, None)]
                rules += [(p.partition(":")[0], int(p.partition(":")[2])) for p in ports]
                for protocol, port in rules:
                    network.create_security_group_rule(
                        security_group_id=group.id,
                        direction="ingress",
                        ether_type=family,
                        protocol=protocol,
                        port_range_min=port,
                        port_range_max=port,
                    )
        return group.id

    def groups(self, name):
        """Security groups of this name in the project, the oldest in front."""
        project = self.cloud.sdk.current_project_id
        mine = {"project_id": project} if project else {}
        return sorted(self.cloud.sdk.network.security_groups(name=name, **mine), key=made)

    def delete_group(self, service):
        """Delete the group of a service, unless servers are in it; its name if it was."""
        from openstack import exceptions

        name = f"importos-{service}"
        deleted = None
        with self.cloud.errors(f"deleting security group {name}"):
            for group in self.groups(name):
                try:
                    self.cloud.sdk.network.delete_security_group(group, ignore_missing=True)
                    deleted = name
                except exceptions.ConflictException:
                    pass
        return deleted

    def create(self, name, service, image, flavor, networks, options, data):
        """Ask for a server; returns at once with it in state `build`."""
        wanted = {
            "name": name,
            "flavor_id": flavor.id,
            "networks": networks,
            **{key: value for key, value in options.items() if value},
        }
        wanted["metadata"] = {
            **options.get("metadata", {}),
            **self.tags(service, image, data),
            RUN_TAG: self.run,
        }
        if data:
            wanted["user_data"] = data
        if wanted.pop("boot_from", "image") == "volume":
            size = max(image.min_disk or GIGABYTE, GIGABYTE)
            disk = {"boot_index": 0, "uuid": image.id, "source_type": "image"}
            disk |= {
                "destination_type": "volume",
                "volume_size": size,
                "delete_on_termination": True,
            }
            wanted["block_device_mapping_v2"] = [disk]
        else:
            wanted["image_id"] = image.id
        with self.cloud.errors(f"making {name}"):
            return self.cloud.sdk.compute.create_server(**wanted)

    def tags(self, service, image, data):
        running = version(image.name, data)
        return {SERVICE_TAG: service, VERSION_TAG: running, IMAGE_TAG: image.id}

    def rebuild(self, server, image, service, data):
        """Another image in the same place: name, addresses and ports stay."""
        more = {} if data is None else {"user_data": data}
        with self.cloud.errors(f"replacing {server.name}"):
            return self.cloud.sdk.compute.rebuild_server(
                server,
                image=image.id,
                metadata={**server.metadata, **self.tags(service, image, data)},
                **more,
            )

    def all(self):
        """All servers of the project, the SDK's objects."""
        with self.cloud.errors("asking for servers"):
            return list(self.cloud.sdk.compute.servers())

    def ours(self):
        """Those with our tag."""
        return sorted((s for s in self.all() if SERVICE_TAG in s.metadata), key=lambda s: s.name)

    def withdraw(self, name):
        """Delete what this run has made under a name."""
        for server in self.ours():
            if server.name == name and server.metadata.get(RUN_TAG) == self.run:
                self.delete(server.id, name)

    def older(self, server):
        """The one of our servers with the same name that was there first; itself, if it was."""
        return min((s for s in self.ours() if s.name == server.name), key=made, default=server)

    def get(self, identity):
        with self.cloud.errors("asking for a server"):
            return self.cloud.sdk.compute.get_server(identity)

    def console(self, identity):
        """The console log as text; empty as long as the server has none."""
        from openstack import exceptions

        with self.cloud.errors("asking for the console log"):
            try:
                answer = self.cloud.sdk.compute.get_server_console_output(identity)
            except (exceptions.NotFoundException, exceptions.ConflictException):
                return ""  # not on a host yet, or on none any more
        return (answer or {}).get("output") or ""

    def stop(self, instance):
        with self.cloud.errors(f"stopping {instance.name}"):
            self.cloud.sdk.compute.stop_server(instance.id)

    def start(self, server):
        with self.cloud.errors(f"starting {server.name}"):
            self.cloud.sdk.compute.start_server(server)

    def delete(self, identity, name, timeout=DELETION):
        """Delete a server and wait until it is gone; one that is gone already is fine."""
        from openstack import exceptions

        deadline = time.monotonic() + timeout
        with self.cloud.errors(f"deleting {name}"):
            try:
                self.cloud.sdk.compute.delete_server(identity)
                while time.monotonic() < deadline:
                    self.cloud.sdk.compute.get_server(identity)
                    time.sleep(POLL)
            except exceptions.NotFoundException:
                return
        raise UserError(f"{name}: not deleted after {timeout:g} s")

    def until(self, instance, timeout, done, what):
        """Wait until something is true of a server."""
        deadline = time.monotonic() + timeout
        while True:
            server = self.get(instance.id)
            if done(server):
                return server
            if server.status.lower() == FAILED:
                raise UserError(f"{instance.name}: {fault(server)}")
            if time.monotonic() > deadline:
                raise UserError(f"{instance.name}: not {what} after {timeout:g} s: {server.status}")
            time.sleep(POLL)


def version(image, data):
    """What a server runs, as a short hash; of an image's name, in which its bytes are."""
    return hashlib.sha256(repr((image, data)).encode()).hexdigest()[:16]


def made(thing):
    """Which of several was there first."""
    return (thing.created_at or "", thing.id)


def image_of(server):
    """The id of the image that a server runs from."""
    return (server.image or {}).get("id") or server.metadata.get(IMAGE_TAG)


def fault(server):
    """Why a server is in error, in the cloud's words."""
    message = (server.fault or {}).get("message") or "the cloud does not say why"
    return f"in error: {message.splitlines()[0]}"


def instance(server):
    """An Instance of the SDK's object."""
    addresses = [one["addr"] for each in (server.addresses or {}).values() for one in each]
    service = (server.metadata or {}).get(SERVICE_TAG, "")
    return Instance(server.name, service, server.status.lower(), addresses, server.id)
