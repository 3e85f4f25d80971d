"""A real OpenStack in a realm of its own: Debian's packages, brought up and torn down by us.

    build/venv/bin/python -m tests.openstack.cloud [glance]     bring one up, and wait for Ctrl-C

Everything listens on the loopback of a network namespace, writes to a temporary folder, and ends
with the process that made it.
"""

import json
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.openstack import (
    base,
    compute,
    database,
    hypervisor,
    identity,
    image,
    network,
    placement,
)
from tests.openstack.realm import Realm

ROOT = Path(__file__).resolve().parent.parent.parent
IMPORTOS = ROOT / "importos"


JOURNAL = ROOT / "build" / "openstack.log"
LONGEST = 40  # lines of one program in it


class Cloud:
    """`run` is ./importos with this cloud in its clouds.yaml.  What was done and said is written to
    JOURNAL: the log of a run.
    """

    OFFERED = ("identity", "image")

    def __init__(self):
        self.realm = Realm()
        self.folder = Path(tempfile.mkdtemp(prefix="importos-cloud-"))
        self.folder.chmod(0o755)  # dnsmasq reads it again when it is nobody
        self.services = base.Services(self.realm, self.folder)
        self.journal = JOURNAL.open("w")
        self.clouds = self.folder / "clouds.yaml"
        member = credentials(base.MEMBER, base.MEMBER_PASSWORD, base.PROJECT)
        known = {"test": credentials(), base.MEMBER: member}
        self.clouds.write_text(json.dumps({"clouds": known}))
        try:
            self.up()
        except BaseException:
            if "KEEP" in os.environ:
                signal.sigwait({signal.SIGTERM})
            self.close()
            raise
        for seconds, text in self.services.times:
            self.note(f"{seconds:7.1f} s  {text}")

    def up(self):
        keystone = identity.begin(self.services, self.OFFERED)
        glance = image.begin(self.services)
        bootstrap = identity.bootstrap(self.services, keystone)
        image.start(self.services, glance)
        identity.start(self.services, bootstrap)
        identity.wait(self.services)
        image.wait(self.services)

    def environment(self):
        inherited = {name: os.environ[name] for name in os.environ if not name.startswith("OS_")}
        return {**inherited, "OS_CLIENT_CONFIG_FILE": str(self.clouds)}

    def run(self, *words, timeout=300, cloud="test"):
        """./importos, as a user types it; returns subprocess's result."""
        environment = self.environment() | ({"OS_CLOUD": cloud} if cloud else {})
        return self.client(IMPORTOS, *words, timeout=timeout, environment=environment)

    def client(self, program, *words, **more):
        """Run a client of the cloud, or of a machine in it."""
        line = " ".join(map(str, ("./importos" if program == IMPORTOS else program, *words)))
        done = self.realm.client(program, *words, **more)
        self.note(f"$ {line}\n{done.stdout}{done.stderr}".rstrip())
        return done

    def note(self, text):
        """A line, or several, for the log of this run; of very many the first and the last."""
        lines = text.split("\n")
        if len(lines) > LONGEST:
            lines[LONGEST // 2 : -LONGEST // 2] = ["..."]
        text = "\n".join(lines)
        print(text)
        self.journal.write(f"[{time.monotonic() - self.services.began:7.1f}] {text}\n")
        self.journal.flush()

    def sdk(self, cloud="test"):
        """openstacksdk's connection, for calls on threads that are in the realm's network."""
        import openstack

        known = openstack.config.OpenStackConfig(
            config_files=[str(self.clouds)], secure_files=[], load_envvars=False
        )
        return openstack.connection.Connection(config=known.get_one(cloud))

    def inside(self, function):
        """Call a function where the cloud is reachable."""
        return self.realm.inside(function)

    def logs(self):
        """The errors in all logs, for the message of a failure."""
        lines = []
        for path in sorted((self.folder / "log").iterdir()):
            text = path.read_text(errors="replace")
            lines += [f"{path.stem}: {line}" for line in text.splitlines() if " ERROR " in line]
        return "\n".join(lines[-40:])

    def image_ids(self):
        return self.inside(lambda: {image.id for image in self.sdk().image.images()})

    def image_called(self, prefix):
        """The image whose name begins so."""

        def find():
            (image,) = [i for i in self.sdk().image.images() if i.name.startswith(prefix)]
            return image

        return self.inside(find)

    def close(self):
        self.journal.close()
        self.realm.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class OpenStack(Cloud):
    """All of it: what ./importos deploy openstack needs."""

    OFFERED = ("identity", "image", "placement", "compute", "network")

    def up(self):
        services = self.services
        keystone = identity.begin(services, self.OFFERED)
        database.start(services)
        api = compute.begin(services)
        glance = image.begin(services)
        hypervisor.start(services)
        bootstrap = identity.bootstrap(services, keystone)
        cell = compute.cells(services, api)
        placed = placement.begin(services)
        ports = network.begin(services)
        image.start(services, glance)
        identity.start(services, bootstrap)
        services.end(placed)
        placement.start(services)
        for part in (database, hypervisor, identity, placement):
            part.wait(services)  # what Nova asks when it starts
        network.start(services, ports)
        compute.start(services, cell)
        for part in (image, network, compute):
            part.wait(services)
        self.inside(self.populate)

    def populate(self):
        sdk = self.sdk()
        network.make(sdk)
        sdk.compute.create_flavor(name="tiny", ram=64, vcpus=1, disk=1)
        sdk.compute.create_flavor(name="larger", ram=512, vcpus=1, disk=2)
        network.wait_for_agents(self.services, sdk)
        compute.wait_for_host(self.services, sdk)


def credentials(user="admin", password=base.PASSWORD, project="admin"):
    """A cloud's entry in clouds.yaml.  JSON is YAML, too."""
    return {
        "auth": {
            "auth_url": base.url("identity"),
            "username": user,
            "password": password,
            "project_name": project,
            "user_domain_id": "default",
            "project_domain_id": "default",
        },
        "region_name": base.REGION,
        "identity_api_version": "3",
    }


def main(arguments):
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    made = Cloud if arguments == ["glance"] else OpenStack
    with made() as cloud:
        network = f"nsenter --net={cloud.realm.path}"
        print(f"\nOS_CLIENT_CONFIG_FILE={cloud.clouds} OS_CLOUD=test {network} ./importos ...")
        print(f"logs are in {cloud.folder}/log; Ctrl-C ends all of it", flush=True)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
