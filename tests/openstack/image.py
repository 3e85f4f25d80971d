"""Glance: images, as files."""

from tests.openstack import base, identity

PASTE = """\
[pipeline:glance-api-keystone]
pipeline = versionnegotiation authtoken context rootapp
[composite:rootapp]
paste.composite_factory = glance.api:root_app_factory
/: apiversions
/v2: apiv2app
[app:apiversions]
paste.app_factory = glance.api.versions:create_resource
[app:apiv2app]
paste.app_factory = glance.api.v2.router:API.factory
[filter:versionnegotiation]
paste.filter_factory = glance.api.middleware.version_negotiation:VersionNegotiationFilter.factory
[filter:context]
paste.filter_factory = glance.api.middleware.context:ContextMiddleware.factory
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
delay_auth_decision = true
"""


def begin(services):
    """Begin to make the database."""
    folder = services.folder / "glance"
    services.write("glance/paste.ini", PASTE)
    for name in ("images", "work"):
        (folder / name).mkdir()
    path = services.write(
        "glance/glance-api.conf",
        base.ini(
            {
                "DEFAULT": {
                    "bind_host": "127.0.0.1",
                    "bind_port": base.PORTS["image"],
                    "workers": 0,
                    "enabled_backends": "files:file",
                    "node_staging_uri": f"file://{folder}/work",
                    "enabled_import_methods": "[]",
                },
                "database": {"connection": f"sqlite:///{folder}/glance.sqlite"},
                "glance_store": {"default_backend": "files"},
                "files": {"filesystem_store_datadir": folder / "images"},
                "os_glance_staging_store": {"filesystem_store_datadir": folder / "work"},
                "os_glance_tasks_store": {"filesystem_store_datadir": folder / "work"},
                "keystone_authtoken": identity.authtoken(),
                "paste_deploy": {"flavor": "keystone", "config_file": folder / "paste.ini"},
                "oslo_concurrency": {"lock_path": folder},
            }
        ),
    )
    return services.begin(
        "glance-db", "glance.cmd.manage", "main", "--config-file", path, "db", "sync"
    )


def start(services, database):
    services.end(database)
    path = services.folder / "glance" / "glance-api.conf"
    services.python("glance", "glance.cmd.api", "main", "--config-file", path)


def wait(services):
    services.wait("glance", lambda: services.listens(base.PORTS["image"]))
