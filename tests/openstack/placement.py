"""Placement: what hosts have, and who has taken how much of it."""

from tests.openstack import base, database, identity


def begin(services):
    """Begin to make the database."""
    path = services.write(
        "placement/placement.conf",
        base.ini(
            {
                "api": {"auth_strategy": "keystone"},
                "placement_database": database.connection(services, "placement"),
                "keystone_authtoken": identity.authtoken(),
            }
        ),
    )
    return services.begin(
        "placement-db", "placement.cmd.manage", "main", "--config-file", path, "db", "sync"
    )


def start(services):
    services.wsgi(
        "placement",
        "placement.wsgi:init_application",
        "placement",
        {"OS_PLACEMENT_CONFIG_DIR": services.folder / "placement"},
    )


def wait(services):
    services.wait("placement", lambda: services.listens(base.PORTS["placement"]))
