"""OpenStack: images in Glance, servers in Nova, security groups in Neutron; or a template for Heat.

connection.py is the way to the cloud and its errors; images.py, servers.py and heat.py are what
their names say.
openstacksdk is imported when a command needs it: help and mistakes do not.
"""

import base64
import secrets
import time
from pathlib import Path

from tools.deploy import provider
from tools.deploy.openstack import connection, heat, images, servers
from tools.errors import UserError

SETTLED = 1  # second: Nova's times are whole ones


class OpenStack(provider.Provider):
    NAME = "openstack"
    HELP = "servers in an OpenStack cloud, the one of --os-cloud, OS_CLOUD or OS_AUTH_URL"
    EPILOG = (
        "What is there already in the same version is left as it is.  Without --flavor the "
        "smallest that the image fits in is taken, without --network the only one there is.  "
        "Without --security-group there is one with the ports of the service."
    )
    OFF = servers.OFF
    FAILED = (servers.FAILED, servers.OFF, "deleted")
    REQUIREMENTS = "requirements-openstack.txt"

    @classmethod
    def add_connection(cls, parser):
        connection.add_arguments(parser)

    @classmethod
    def add_options(cls, parser):
        add = parser.add_argument
        add("--flavor", metavar="NAME")
        add("--network", action="append", default=[], metavar="NAME", help="several are possible")
        add("--key-name", metavar="NAME", help="a key pair; the service finds it in its metadata")
        add("--security-group", action="append", default=[], metavar="NAME")
        add("--availability-zone", metavar="NAME")
        add("--config-drive", action="store_true", help="configured by a disk, not by metadata")
        add("--user-data", metavar="FILE", help="configuration for the service (docs/cloud.md)")
        add("--meta", action="append", default=[], metavar="NAME=VALUE", help="metadata of servers")
        add(
            "--property",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="of the image: hw_machine_type=q35; NAME= takes one of ours away",
        )
        add("--boot-from", choices=("image", "volume"), default="image")
        add("--image-only", action="store_true", help="upload the image, make no servers")
        add("--replace", action="store_true", help="rebuild servers that run another version")

        add(
            "--heat",
            metavar="FILE",
            help="make no servers, but write a template for Heat: a group that grows and shrinks, "
            "behind a load balancer; the image is uploaded if a cloud is named",
        )

    @classmethod
    def formats(cls, options):
        return ("qcow2", "efi") if images.UEFI in options.property else cls.FORMATS

    @classmethod
    def add_deletion(cls, parser):
        what = parser.add_mutually_exclusive_group()
        what.add_argument(
            "--keep-image",
            action="store_true",
            help="keep image and security group: the next deployment uploads nothing",
        )
        what.add_argument(
            "--all",
            action="store_true",
            help="and images that no server runs, those of --image-only and --heat too; NAME may "
            "be a service without servers",
        )

    def __init__(self, options):
        super().__init__(options)
        run = secrets.token_hex(6)
        self.cloud = connection.Cloud(options)
        self.images = images.Images(self.cloud, run)
        self.servers = servers.Servers(self.cloud, run)
        self.unused = set()  # ids of images that a server ran from

    def check(self):
        options = self.options
        images.properties("", options.property)
        _pairs(options.meta, "--meta")
        if "none" in options.network and len(options.network) > 1:
            raise UserError("--network none: there are other networks beside it")
        self.user_data = servers.user_data(options.user_data)
        if not options.heat or connection.is_named(options):
            self.cloud.log_in()
        if not (options.heat or options.image_only):
            # What can be wrong without knowing the image is said before it is built.
            if options.flavor:
                self.servers.flavor(options.flavor)
            if options.network:
                self.servers.networks(options.network)

    def deploy(self, built, tell):
        options = self.options
        report = built.report
        wanted = images.properties(built.service, options.property)
        ram = images.min_ram(report["totals"], wanted)
        disk = built.image("qcow2")
        if images.UEFI in options.property:
            disk = disk.with_name(f"{disk.stem}-efi.qcow2")
        described = images.Description(built.service, disk, wanted, ram)
        if options.heat:
            self._template(built.service, report["ports"], described.name, tell)
            if not connection.is_named(options):
                tell(f"image {described.name}: not uploaded, no cloud is named")
                return []
        if options.heat or options.image_only:
            image = self._image(described, tell)
            self.images.keep(image)
            if options.image_only:
                tell(image.id)
            return []
        return self._servers(built.service, report["ports"], described, tell)

    def _image(self, described, tell):
        image = self.images.find(described)
        if image is not None:
            tell(f"image {image.name}: there already")
            return image
        self.made.append((f"image {described.name}", lambda: self._withdraw_image(described.name)))
        return self.images.upload(described, tell)

    def _withdraw_image(self, name):
        used = {servers.image_of(server) for server in self.servers.all()}
        if not any(image.id in used for image in self.images.named(name)):
            self.images.withdraw(name)

    def _template(self, service, ports, image, tell):
        path = Path(self.options.heat)
        member = path.with_name(f"{path.stem}.member{path.suffix}")
        data = base64.b64decode(self.user_data or "")
        try:
            configuration = data.decode()
        except UnicodeDecodeError:
            raise UserError(
                "--user-data: a template has text only, that is something else"
            ) from None
        made = heat.templates(service, ports, image, self.options, configuration, member.name)
        command = heat.command(service, made[0], path.name)
        comments = (command, f"One machine of the group in {path.name}.")
        for file, template, comment in zip((path, member), made, comments, strict=True):
            try:
                file.write_text(heat.text(template, comment))
            except OSError as error:
                raise UserError(f"--heat {file}: {error.strerror}") from None
            tell(f"{file}: written")
        tell(command)

    def _servers(self, service, ports, described, tell):
        options = self.options
        wanted = self.names(service)
        running = servers.version(described.name, self.user_data)
        there = {server.name: server for server in self.servers.ours()}
        for name in wanted:
            other = there.get(name)
            if other and other.metadata.get(servers.VERSION_TAG) != running and not options.replace:
                raise UserError(f"{name} runs another version: --replace rebuilds it in its place")
        place = self._place(service, described) if set(wanted) - set(there) else None
        image = self._image(described, tell)
        if place:
            place["image"] = image
            if place["networks"] != "none":
                groups = options.security_group or [self._group(service, ports, tell)]
                place["options"]["security_groups"] = [{"name": group} for group in groups]
        found = []
        for name in wanted:
            server = there.get(name)
            if server is None:
                server = self._create(name, place, tell)
            elif server.metadata.get(servers.VERSION_TAG) != running:
                self.unused.add(servers.image_of(server))
                server = self.servers.rebuild(server, image, service, self.user_data)
                self.changed.append(f"{name} rebuilt")
                tell(f"{name}: rebuilt")
            elif server.status.lower() == servers.OFF:
                self.servers.start(server)
                server = self.servers.until(
                    servers.instance(server),
                    options.timeout,
                    lambda s: s.status.lower() == servers.ON,
                    "started",
                )
                self.changed.append(f"{name} started")
                tell(f"{name}: started")
            else:
                tell(f"{name}: there already")
            found.append(servers.instance(self.servers.get(server.id)))
        return self._alone(found, there, tell) if place else found

    def _place(self, service, described):
        """What all servers that are made have in common."""
        options = self.options
        volume = options.boot_from == "volume"
        room = (described.min_ram, images.MIN_DISK)
        return {
            "service": service,
            "flavor": self.servers.fitting(options.flavor, *room, volume),
            "networks": self.servers.networks(options.network),
            "options": {
                "metadata": _pairs(options.meta, "--meta"),
                "key_name": options.key_name,
                "availability_zone": options.availability_zone,
                "config_drive": options.config_drive,
                "boot_from": options.boot_from,
            },
        }

    def _create(self, name, place, tell):
        self.made.append((f"server {name}", lambda: self.servers.withdraw(name)))
        server = self.servers.create(name, data=self.user_data, **place)
        tell(f"{name}: made, flavor {place['flavor'].name}")
        return server

    def _alone(self, found, there, tell):
        """Two commands at once may have made servers of one name: the older one is it."""
        time.sleep(SETTLED)
        for at, instance in enumerate(found):
            if instance.name in there:
                continue
            server = self.servers.get(instance.id)
            older = self.servers.older(server)
            if older.id != server.id:
                tell(f"{instance.name}: another deployment has made it at the same time")
                self.servers.delete(server.id, instance.name)
                found[at] = servers.instance(older)
        return found

    def _group(self, service, ports, tell):
        def made(name):
            self.made.append((f"security group {name}", lambda: self.servers.delete_group(service)))
            tell(f"security group {name}: {', '.join(['icmp', *ports])}")

        return self.servers.security_group(service, ports, made)

    def instances(self):
        return [servers.instance(server) for server in self.servers.ours()]

    def refresh(self, instance):
        server = self.servers.get(instance.id)
        fresh = servers.instance(server)
        if fresh.state == servers.FAILED:
            raise UserError(f"{instance.name}: {servers.fault(server)}")
        return fresh

    def console(self, instance):
        return self.servers.console(instance.id)

    def press(self, instance):
        self.servers.stop(instance)

    def delete(self, instance):
        server = self.servers.get(instance.id)
        self.servers.delete(instance.id, instance.name)
        self.unused.add(servers.image_of(server))

    def tidy(self, services, tell):
        """Images that the servers ran from, and groups, as far as no other server has them."""
        everything = getattr(self.options, "all", False)
        if getattr(self.options, "keep_image", False):
            return
        there = self.servers.all()
        used = {servers.image_of(server) for server in there}
        for service in services:
            for image in self.images.of(service):
                if image.id in used or not (everything or image.id in self.unused):
                    continue
                if images.KEPT in (image.tags or ()) and not everything:
                    tell(f"image {image.name}: stays, it was uploaded to stay (delete --all)")
                elif self.images.delete(image.id):
                    tell(f"image {image.name}: deleted")
                else:
                    tell(f"image {image.name}: stays, the cloud says that it is used")
            if not any(server.metadata.get(provider.SERVICE_TAG) == service for server in there):
                name = self.servers.delete_group(service)
                if name:
                    tell(f"security group {name}: deleted")


def _pairs(texts, option):
    pairs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise UserError(f"{option} {text}: expected NAME=VALUE")
        pairs[name] = value
    return pairs
