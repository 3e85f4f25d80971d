"""What every place that machines are deployed to can do: the contract of a provider.

A provider is a class in a module of its own; `tools/deploy/__init__.py` lists them.  Importing it
needs the standard library only, because help and mistakes come before anything is installed: what
else it needs is imported by the methods.

The cloud is asked what is there.  Nothing is remembered in files here, so two people, or two
checkouts, see the same: what we make carries the service's name (metadata, tags, labels:
SERVICE_TAG) and everything else is left alone.

Every method raises UserError, one line that says what to do, for whatever the user or the cloud
can get wrong.  Passwords and tokens are in no message.
"""

import json
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

SERVICE_TAG = "importos_service"  # the metadata that says: ours, and what it runs


class Built(NamedTuple):
    """A service that was built with --cloud: its folder has NAME-cloud.qcow2 and others."""

    service: str
    folder: Path

    @property
    def report(self):
        """What report.json says: ports, totals, settings."""
        return json.loads((self.folder / "report.json").read_text())

    def image(self, suffix):
        """The path of an image: image("qcow2")."""
        return self.folder / f"{self.folder.name}.{suffix}"


class Instance:
    """A machine in the cloud.  `service` is from its tag, `state` the provider's own word for it in
    lower case, `id` whatever the provider finds it by.
    """

    def __init__(self, name, service, state, addresses=(), identity=""):
        self.name, self.service, self.state = name, service, state
        self.addresses, self.id = list(addresses), identity


class Provider:
    """The contract.  A provider is made for one command and used once."""

    NAME = ""  # as on the command line
    HELP = ""  # one line for --help
    EPILOG = ""  # more of it
    FAILED = ()  # states from which a machine does not become ready by itself
    PACKAGES = MappingProxyType({})  # Debian package -> why: what the launcher installs for it
    FORMATS = ("qcow2",)  # of the images that it wants built (tools/image/formats)
    REQUIREMENTS = None  # a file in tools/ with what the virtual environment needs besides

    @classmethod
    def add_connection(cls, parser):
        """Add the options that say which cloud; they are there for every command."""

    @classmethod
    def add_options(cls, parser):
        """Add the options of `deploy`.  There are already service, --name, --count, --[no-]wait,
        --timeout, --keep and those of a build.
        """

    def __init__(self, options):
        """Keep the options; a connection is made when it is needed."""
        self.options = options

    def check(self):
        """Refuse, before the build, what can be refused without what it makes."""

    def deploy(self, built, tell):
        """Make `options.count` machines of a service; returns their Instances without waiting until
        they are up.

        What is there already in the same version is kept, so that repeating a command changes
        nothing.  Names are `options.name` or the service's, with -1, -2, ... if there are several.
        `tell(text)` shows progress.  On failure nothing that this call made is left, or the message
        says what.
        """
        raise NotImplementedError

    def withdraw(self):
        """Remove what `deploy` made in this run: a machine has not become ready.  Returns what
        could not be removed, as text, or an empty string.
        """
        raise NotImplementedError

    def instances(self):
        """All Instances with our tag, by name."""
        raise NotImplementedError

    def refresh(self, instance):
        """The Instance as it is now."""
        raise NotImplementedError

    def console(self, instance):
        """What the machine has written to its console, as text."""
        raise NotImplementedError

    def stop(self, instance, timeout):
        """Press the power button and wait until the machine is off."""
        raise NotImplementedError

    def delete(self, instance):
        """Remove the machine, and what only it needed."""
        raise NotImplementedError
