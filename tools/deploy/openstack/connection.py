"""A connection to an OpenStack cloud, and what goes wrong with one in a sentence.

The cloud is named as other clients have it: --os-cloud or OS_CLOUD for one in clouds.yaml, or the
OS_* variables of an openrc file.  Messages of the cloud are shown as they are, but for secrets:
what clouds.yaml or OS_* say under a name like `password`, and what looks like a token, becomes
`***`.
"""

import contextlib
import logging
import os
import re

from tools.errors import UserError

SECRET = re.compile(r"pass|secret|token|private|key$", re.IGNORECASE)
TOKEN = re.compile(r"\bgAAAA[A-Za-z0-9_=-]{20,}")  # Fernet, as Keystone makes them
SHORTEST_SECRET = 4  # less would blank out ordinary words
TIMEOUT = 120  # seconds until an answer begins, unless clouds.yaml says api_timeout
CONNECT = 15  # seconds until there is a connection
IN_ADDRESS = re.compile(r"(?<=://)[^/@\s]+(?=@)")  # who logs in, in an address


def add_arguments(parser):
    parser.add_argument(
        "--os-cloud",
        metavar="NAME",
        help="a cloud in clouds.yaml (default: OS_CLOUD, or what OS_AUTH_URL and others say)",
    )


def is_named(options):
    """Whether anything says which cloud."""
    return bool(options.os_cloud or os.environ.get("OS_CLOUD") or os.environ.get("OS_AUTH_URL"))


class Cloud:
    """A cloud; `sdk` is openstacksdk's connection, made when it is first used."""

    def __init__(self, options):
        self.options = options
        self.name = options.os_cloud or os.environ.get("OS_CLOUD") or "the cloud"
        self._sdk = None
        self._secrets = set()

    @property
    def sdk(self):
        if self._sdk is None:
            self._sdk = self._connect()
        return self._sdk

    def _connect(self):
        import openstack
        from openstack.config import loader

        for library in ("keystoneauth", "openstack", "urllib3"):
            # What goes wrong is said once, by us; without handlers warnings go to stderr.
            logging.getLogger(library).addHandler(logging.NullHandler())
            logging.getLogger(library).propagate = False

        try:
            config = loader.OpenStackConfig(app_name="importos")
        except Exception as error:
            raise UserError(f"clouds.yaml: {first_line(error)}") from None
        wanted = self.options.os_cloud or os.environ.get("OS_CLOUD")
        if not is_named(self.options):
            known = ", ".join(sorted(set(config.get_cloud_names()) - {"envvars", "defaults"}))
            there = f"clouds.yaml has {known}" if known else "there is no clouds.yaml"
            raise UserError(f"which cloud? give --os-cloud NAME, or set OS_CLOUD ({there})")
        if wanted and wanted not in config.get_cloud_names():
            known = ", ".join(sorted(set(config.get_cloud_names()) - {"defaults"})) or "no cloud"
            raise UserError(f"no cloud {wanted!r} in clouds.yaml: it has {known}")
        try:
            region = config.get_one(cloud=wanted)
        except Exception as error:
            raise UserError(f"{self.name}: {first_line(error)}") from None
        self._secrets = set(find_secrets(region.config))
        patience = region.config.get("api_timeout")
        made = openstack.connection.Connection(config=region)
        made.session.timeout = (CONNECT, TIMEOUT if patience is None else float(patience))
        return made

    def log_in(self):
        """Find out now, not after a build, whether the cloud takes us."""
        with self.errors(any_at_all=True):
            self.sdk.session.get_token()

    @contextlib.contextmanager
    def errors(self, doing="", any_at_all=False):
        """What the cloud and the network raise, as UserError in one line without secrets; all there
        is where the configuration is read for the first time: who wrote it may have meant anything.
        """
        try:
            yield
        except (UserError, KeyboardInterrupt):
            raise
        except Exception as error:
            text = explain(error, self.name, doing)
            if text is None:
                if not any_at_all:
                    raise
                text = f"{self.name}: clouds.yaml or OS_* variables: {first_line(error)}"
            raise UserError(self.redact(text)) from None

    def redact(self, text):
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return IN_ADDRESS.sub("***", TOKEN.sub("***", text))


def find_secrets(config):
    """The values in a configuration whose names say that they are secret."""
    for name, value in config.items():
        if isinstance(value, dict):
            yield from find_secrets(value)
        elif SECRET.search(str(name)) and isinstance(value, str) and len(value) >= SHORTEST_SECRET:
            # `key` is also the path of a client certificate's key: no harm in hiding it.
            yield value


def explain(error, cloud, doing=""):
    """What an exception of openstacksdk, keystoneauth or requests means; None for others."""
    import requests.exceptions
    from keystoneauth1 import exceptions as auth
    from openstack import exceptions as sdk

    where = f"{cloud}: {doing}: " if doing else f"{cloud}: "
    match error:
        case auth.Unauthorized():
            return f"{cloud}: wrong user name, password or project (401)"
        case auth.MissingRequiredOptions():
            names = ", ".join(option.name for option in error.options)
            return f"{cloud}: clouds.yaml or OS_* variables do not say {names}"
        case auth.EndpointNotFound() | auth.CatalogException() | sdk.ServiceDisabledException():
            return f"{where}the cloud does not offer that ({first_line(error)})"
        case auth.SSLError() | requests.exceptions.SSLError():
            return f"{cloud}: {_certificate(str(error))}"
        case auth.ConnectTimeout() | requests.exceptions.Timeout():
            return f"{where}it does not answer{_address(error)}"
        case auth.ConnectFailure() | requests.exceptions.ConnectionError():
            return f"{where}cannot connect{_address(error)}"
        case auth.DiscoveryFailure():
            # It may say that version 2 has no domains; there has been no such for years.
            return f"{cloud}: auth_url leads to no Keystone of version 3 ({first_line(error)})"
        case sdk.ForbiddenException():
            return f"{where}not allowed: {_details(error)}"
        case sdk.HttpException():
            return f"{where}{_details(error)} ({error.status_code})"
        case sdk.ResourceTimeout():
            return f"{where}it took too long: {first_line(error)}"
        case OSError():
            return f"{where}{first_line(error)}"  # a file that clouds.yaml names
        case sdk.SDKException() | auth.ClientException() | requests.exceptions.RequestException():
            return f"{where}{first_line(error)}"
    if type(error) is Exception:  # keystoneauth's, where a user or a password is missing
        return f"{cloud}: clouds.yaml or OS_* variables: {first_line(error)}"
    return None


def _details(error):
    """The cloud's own words, else the class of what happened."""
    return first_line(error.details or error.message or type(error).__name__)


def _certificate(text):
    """What is wrong with a certificate, in OpenSSL's words where there are any."""
    found = re.search(r"certificate verify failed: ([^(\"]+?)\.?['\s]*\(", text)
    reason = found[1] if found else ""
    if not found or "self-signed" in reason or "self signed" in reason or "issuer" in reason:
        reason = f" ({reason})" if reason else ""
        return f"its certificate is not trusted{reason}: set cacert in clouds.yaml or OS_CACERT"
    return f"its certificate is refused: {reason}"


def _address(error):
    found = re.search(r"https?://[^\s'\")]+[^\s'\"):]|host='[^']+', port=\d+", str(error))
    return f" ({found[0]})" if found else ""


def first_line(text):
    """One line of a message that may have many."""
    lines = [line.strip() for line in str(text).splitlines() if line.strip()]
    return lines[0] if lines else type(text).__name__
