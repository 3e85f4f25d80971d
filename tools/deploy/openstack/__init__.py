"""OpenStack: images in Glance, servers in Nova, security groups in Neutron; or a template for Heat.

connection.py is the way to the cloud and its errors; images.py, servers.py and heat.py are what
their names say.
openstacksdk is imported when a command needs it: help and mistakes do not.
"""

import base64
import functools
from pathlib import Path

from tools.deploy import provider
from tools.deploy.openstack import connection, heat, images, servers
from tools.errors import UserError


class OpenStack(provider.Provider):
    NAME = "openstack"
    HELP = "servers in an OpenStack cloud, the one of --os-cloud, OS_CLOUD or OS_AUTH_URL"
    EPILOG = (
        "What is there already in the same version is left as it is.  Without --flavor the "
        "smallest that the image fits in is taken, without --network the only one there is.  "
        "Without --security-group there is one with the ports of the service."
    )
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

    def __init__(self, options):
        super().__init__(options)
        self.cloud = connection.Cloud(options)
        self.images, self.servers = images.Images(self.cloud), servers.Servers(self.cloud)
        self.made = []  # (what it is, how to remove it), in order

    def check(self):
        options = self.options
        images.properties("", options.property)
        _pairs(options.meta, "--meta")
        self.user_data = servers.user_data(options.user_data)
        if not options.heat or connection.is_named(options):
            self.cloud.log_in()

    def deploy(self, built, tell):
        options = self.options
        report = built.report
        wanted = images.properties(built.service, options.property)
        ram = images.min_ram(report["totals"])
        described = images.Description(built.service, built.image("qcow2"), wanted, ram)
        if options.heat:
            self._template(built.service, report["ports"], described.name, tell)
            if not connection.is_named(options):
                tell(f"image {described.name}: not uploaded, no cloud is named")
                return []
        try:
            image, new = self.images.upload(described, tell)
            if new:
                self.made.append((f"image {image.name}", lambda: self.images.delete(image)))
            if options.image_only or options.heat:
                self.made.clear()
                if options.image_only:
                    tell(image.id)
                return []
            return self._servers(built.service, report["ports"], image, tell)
        except BaseException:
            left = self.withdraw()
            if left:
                tell(f"left behind: {left}")
            raise

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

    def _servers(self, service, ports, image, tell):
        options = self.options
        wanted = servers.names(options.name or service, options.count)
        running = servers.version(image, self.user_data)
        there = {server.name: server for server in self.servers.ours()}
        for name in wanted:
            other = there.get(name)
            if other and other.metadata.get(servers.VERSION_TAG) != running and not options.replace:
                raise UserError(f"{name} runs another version: --replace rebuilds it in its place")
        more = {
            "metadata": _pairs(options.meta, "--meta"),
            "key_name": options.key_name,
            "availability_zone": options.availability_zone,
            "config_drive": options.config_drive,
            "boot_from": options.boot_from,
        }
        flavor = networks = None
        instances = []
        for name in wanted:
            server = there.get(name)
            if server is None:
                if flavor is None:
                    flavor = self.servers.flavor(options.flavor, image)
                    networks = self.servers.networks(options.network)
                    groups = options.security_group or [self._group(service, ports, tell)]
                    if networks != "none":
                        more["security_groups"] = [{"name": group} for group in groups]
                server = self._create(name, service, image, flavor, networks, more)
                tell(f"{name}: made, flavor {flavor.name}")
            elif server.metadata.get(servers.VERSION_TAG) != running:
                server = self.servers.rebuild(server, image, service, self.user_data)
                tell(f"{name}: rebuilt")
            elif server.status.lower() == servers.OFF:
                self.servers.start(server)
                server = self.servers.until(
                    servers.instance(server),
                    options.timeout,
                    lambda s: s.status.lower() == servers.ON,
                    "started",
                )
                tell(f"{name}: started")
            else:
                tell(f"{name}: there already")
            instances.append(servers.instance(self.servers.get(server.id)))
        return instances

    def _create(self, name, service, image, flavor, networks, more):
        server = self.servers.create(name, service, image, flavor, networks, more, self.user_data)
        self.made.append((f"server {name}", lambda: self.servers.delete(server.id, name)))
        return server

    def _group(self, service, ports, tell):
        def made(group):
            remove = functools.partial(self.servers.delete_group, group.id, group.name)
            self.made.append((f"security group {group.name}", remove))
            tell(f"security group {group.name}: {', '.join(['icmp', *ports])}")

        return self.servers.security_group(service, ports, made)

    def withdraw(self):
        left = []
        while self.made:
            what, remove = self.made.pop()
            try:
                remove()
            except UserError as error:
                left.append(f"{what} ({error})")
        return ", ".join(left)

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

    def stop(self, instance, timeout):
        self.servers.stop(instance, timeout)

    def delete(self, instance):
        self.servers.delete(instance.id, instance.name)


def _pairs(texts, option):
    pairs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise UserError(f"{option} {text}: expected NAME=VALUE")
        pairs[name] = value
    return pairs
