"""Keystone: users, projects, tokens, and the catalogue.

On SQLite, which locks itself out when it is written to by a service that runs: so the catalogue is
a file, and both users are made before: admin for the services, and Maria, a member of a project.
"""

import base64
import os

from tests.openstack import base


def catalog(services):
    lines = []
    for service in services:
        prefix = f"catalog.{base.REGION}.{service}"
        lines.append(f"{prefix}.name = {service}")
        for kind in ("public", "internal", "admin"):
            lines.append(f"{prefix}.{kind}URL = {base.url(service)}")
    return "\n".join([*lines, ""])


def configure(services, offered):
    folder = services.folder / "keystone"
    (folder / "fernet").mkdir(parents=True, mode=0o700)
    services.write("keystone/catalog", catalog(offered))
    for name in ("0", "1"):
        # What `keystone-manage fernet_setup` does, without four seconds of imports.
        key = base64.urlsafe_b64encode(os.urandom(32)).decode()
        services.write(f"keystone/fernet/{name}", key)
    return services.write(
        "keystone/keystone.conf",
        base.ini(
            {
                "database": {"connection": f"sqlite:///{folder}/keystone.sqlite"},
                "catalog": {"driver": "templated", "template_file": folder / "catalog"},
                "fernet_tokens": {"key_repository": folder / "fernet"},
                # Twelve rounds are a third of a second for every login.
                "identity": {"password_hash_rounds": 4},
                "cache": {"enabled": "true", "backend": "dogpile.cache.memory"},
            }
        ),
    )


BOOTSTRAP = """\
import sys
from keystone.cmd import bootstrap, manage

first = bootstrap.Bootstrapper.bootstrap

def both(self):
    first(self)
    self.admin_username, self.admin_password, self.project_name = {user!r}
    self._bootstrap_project()
    self._bootstrap_admin_user()
    self.admin_role_id = self.member_role_id
    self._bootstrap_project_role_assignment()

bootstrap.Bootstrapper.bootstrap = both
sys.exit(manage.main())
"""
MANAGE = ("keystone.cmd.manage", "main", "--config-file")


def begin(services, offered):
    """Begin to make the database."""
    return services.begin("keystone-db", *MANAGE, configure(services, offered), "db_sync")


def bootstrap(services, database):
    """Begin to make the users, once there is a database."""
    services.end(database)
    return services.begin_code(
        "keystone-bootstrap",
        BOOTSTRAP.format(user=(base.MEMBER, base.MEMBER_PASSWORD, base.PROJECT)),
        "--config-file",
        services.folder / "keystone" / "keystone.conf",
        "bootstrap",
        environment={"OS_BOOTSTRAP_PASSWORD": base.PASSWORD},
    )


def start(services, bootstrapped):
    services.end(bootstrapped)
    services.wsgi(
        "keystone",
        "keystone.server.wsgi:initialize_public_application",
        "identity",
        {"OS_KEYSTONE_CONFIG_DIR": services.folder / "keystone"},
    )


def wait(services):
    services.wait("keystone", lambda: services.listens(base.PORTS["identity"]))


def authtoken():
    """What every other service is told about Keystone."""
    return {
        "www_authenticate_uri": base.url("identity"),
        "auth_url": base.url("identity"),
        "auth_type": "password",
        "username": "admin",
        "password": base.PASSWORD,
        "project_name": "admin",
        "user_domain_id": "default",
        "project_domain_id": "default",
        "region_name": base.REGION,
        "service_token_roles_required": "false",
    }
