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
import re
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from tools.errors import UserError

SERVICE_TAG = "importos_service"  # the metadata that says: ours, and what it runs
NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", re.ASCII)
LONGEST_NAME = 63  # it becomes a host name: RFC 1035 section 2.3.4
LARGEST_COUNT = 1000


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
    OFF = ""  # the state of a machine that is off
    FAILED = ()  # states from which a machine does not become ready by itself
    HARDER = ""  # what the user may type where the power button does nothing; {} is the machine
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

    @classmethod
    def add_deletion(cls, parser):
        """Add the options of `delete`."""

    @classmethod
    def formats(cls, options):
        """Those of the images that this deployment wants built."""
        return cls.FORMATS

    def __init__(self, options):
        """Keep the options; a connection is made when it is needed."""
        self.options = options
        self.made = []  # (what it is, how to remove it) of all that this run makes, in order
        self.changed = []  # what else it has changed: that stays as it is

    def check(self):
        """Refuse, before the build, what can be refused without what it makes."""

    def deploy(self, built, tell):
        """Make `options.count` machines of a service; returns their Instances without waiting until
        they are up.

        What is there already in the same version is kept, so that repeating a command changes
        nothing.  Names are `options.name` or the service's, with -1, -2, ... if there are several.
        What is made is put into `made`, before it is asked for where an answer could be lost: then
        it can be removed.  `tell(text)` shows progress.
        """
        raise NotImplementedError

    def names(self, service):
        """The names of the machines that are asked for; refuses those that no machine can have."""
        options = self.options
        if not 1 <= options.count <= LARGEST_COUNT:
            raise UserError(f"--count {options.count}: expected 1 to {LARGEST_COUNT}")
        name = options.name or service
        longest = name if options.count == 1 else f"{name}-{options.count}"
        if not NAME.fullmatch(name) or len(longest) > LONGEST_NAME:
            raise UserError(
                f"--name {name!r}: a name has letters, digits, -, . and _ (no sign first or last),"
                f" {LONGEST_NAME} at most"
            )
        if options.count == 1:
            return [name]
        return [f"{name}-{number}" for number in range(1, options.count + 1)]

    def withdraw(self):
        """Remove what `deploy` made in this run, newest first: it failed, or a machine has not
        become ready.  Returns what could not be removed, as text, or an empty string.
        """
        left = []
        while self.made:
            what, remove = self.made[-1]
            try:
                remove()
            except UserError as error:
                left.append(f"{what} ({error})")
            except KeyboardInterrupt:
                return ", ".join([*left, *(what for what, _ in reversed(self.made))])
            self.made.pop()
        return ", ".join(left)

    def instances(self):
        """All Instances with our tag, by name."""
        raise NotImplementedError

    def refresh(self, instance):
        """The Instance as it is now."""
        raise NotImplementedError

    def console(self, instance):
        """What the machine has written to its console, as text."""
        raise NotImplementedError

    def press(self, instance):
        """Press the power button; the caller waits until the state is OFF."""
        raise NotImplementedError

    def delete(self, instance):
        """Remove the machine, and what only it needed."""
        raise NotImplementedError

    def tidy(self, services, tell):
        """After machines of these services were deleted or replaced: remove what they shared, and
        nobody uses any more.
        """
