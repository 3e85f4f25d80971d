"""Nova: API, metadata, conductor, scheduler, and one compute host with QEMU (TCG)."""

from tests.openstack import base, database, identity

METADATA = 8775
SECRET = "between-nova-and-neutron"
PASTE = """\
[composite:osapi_compute]
use = call:nova.api.openstack.urlmap:urlmap_factory
/: versions
/v2.1: v21
[composite:v21]
use = call:nova.api.auth:pipeline_factory_v21
keystone = compute_req_id faultwrap authtoken keystonecontext v21app
[pipeline:versions]
pipeline = faultwrap versionsapp
[app:versionsapp]
paste.app_factory = nova.api.openstack.compute.versions:Versions.factory
[app:v21app]
paste.app_factory = nova.api.openstack.compute:APIRouterV21.factory
[filter:compute_req_id]
paste.filter_factory = nova.api.compute_req_id:ComputeReqIdMiddleware.factory
[filter:faultwrap]
paste.filter_factory = nova.api.openstack:FaultWrapper.factory
[filter:keystonecontext]
paste.filter_factory = nova.api.auth:NovaKeystoneContext.factory
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
[composite:metadata]
use = egg:Paste#urlmap
/: metaapp
[app:metaapp]
paste.app_factory = nova.api.metadata.handler:MetadataRequestHandler.factory
"""
MANAGE = ("nova.cmd.manage", "main", "--config-file")


def configure(services):
    folder = services.folder / "nova"
    (folder / "instances").mkdir(parents=True)
    services.write("nova/paste.ini", PASTE)
    return services.write(
        "nova/nova.conf",
        base.ini(
            {
                "DEFAULT": {
                    "transport_url": database.BUS,
                    "state_path": folder,
                    "instances_path": folder / "instances",
                    "my_ip": "127.0.0.1",
                    "host": "cloud",
                    "enabled_apis": "osapi_compute,metadata",
                    "osapi_compute_listen": "127.0.0.1",
                    "osapi_compute_workers": 1,
                    "metadata_listen": "127.0.0.1",
                    "metadata_workers": 1,
                    "compute_driver": "libvirt.LibvirtDriver",
                    "reserved_host_memory_mb": 0,
                    "report_interval": 3,
                    "service_down_time": 60,
                },
                "wsgi": {"api_paste_config": folder / "paste.ini"},
                "api_database": database.connection(services, "nova_api"),
                "database": database.connection(services, "nova"),
                "keystone_authtoken": identity.authtoken(),
                "placement": identity.authtoken(),
                "service_user": identity.authtoken() | {"send_service_user_token": "true"},
                "glance": {"endpoint_override": base.url("image")},
                "neutron": identity.authtoken()
                | {"service_metadata_proxy": "true", "metadata_proxy_shared_secret": SECRET},
                "libvirt": {"virt_type": "qemu", "cpu_mode": "none"},
                "workarounds": {"disable_rootwrap": "true"},
                "vnc": {"enabled": "false"},
                "conductor": {"workers": 1},
                "scheduler": {"workers": 1, "discover_hosts_in_cells_interval": 3},
                "key_manager": {
                    "backend": "nova.keymgr.conf_key_mgr.ConfKeyManager",
                    "fixed_key": "0" * 64,
                },
                "oslo_concurrency": {"lock_path": folder / "locks"},
            }
        ),
    )


def begin(services):
    """Begin to make the API's database."""
    path = configure(services)
    return services.begin("nova-api-db", *MANAGE, path, "api_db", "sync")


def cells(services, api_database):
    """The cells, once there is the API's database; begins to make the cell's own database."""
    services.end(api_database)
    path = services.folder / "nova" / "nova.conf"
    services.tool("nova-cells", *MANAGE, path, "cell_v2", "map_cell0")
    services.tool("nova-cells", *MANAGE, path, "cell_v2", "create_cell", "--name", "cell1")
    return services.begin("nova-db", *MANAGE, path, "db", "sync")


def start(services, cell_database):
    services.end(cell_database)
    words = ("--config-file", services.folder / "nova" / "nova.conf")
    environment = {"PATH": services.folder / "bin"}
    for name in ("api", "conductor", "scheduler"):
        services.python(f"nova-{name}", f"nova.cmd.{name}", "main", *words)
    services.python("nova-compute", "nova.cmd.compute", "main", *words, environment=environment)


def wait(services):
    for port in (base.PORTS["compute"], METADATA):
        services.wait("nova-api", lambda port=port: services.listens(port))


def wait_for_host(services, sdk):
    """Wait until the compute host may be given servers: it says that it lives, and the scheduler
    has found it.
    """

    def ready():
        states = [s.state for s in sdk.compute.services() if s.binary == "nova-compute"]
        return states == ["up"] and any(True for _ in sdk.compute.hypervisors())

    services.wait("nova-compute", ready)
