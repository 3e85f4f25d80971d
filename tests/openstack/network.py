"""Neutron: one flat network on a Linux bridge, DHCP, metadata and security groups.

The network's gateway, ROUTER, is the other end of a pair of devices in the realm: that is where
clients of the instances are.
"""

from tests.openstack import base, compute, database, identity

ROUTER, PREFIX = "10.77.0.1", 24
SUBNET = "10.77.0.0/24"
POOL = ("10.77.0.100", "10.77.0.200")
MTU = 1450
ELSEWHERE = "10.88.0.0/16"  # a route that DHCP hands out
PASTE = """\
[composite:neutron]
use = egg:Paste#urlmap
/: versions
/v2.0: v2
[composite:v2]
use = call:neutron.auth:pipeline_factory
keystone = request_id catch_errors authtoken keystonecontext extensions v2app
[composite:versions]
use = call:neutron.auth:pipeline_factory
keystone = versionsapp
[filter:request_id]
paste.filter_factory = oslo_middleware:RequestId.factory
[filter:catch_errors]
paste.filter_factory = oslo_middleware:CatchErrors.factory
[filter:keystonecontext]
paste.filter_factory = neutron.auth:NeutronKeystoneContext.factory
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
[filter:extensions]
paste.filter_factory = neutron.api.extensions:plugin_aware_extension_middleware_factory
[app:versionsapp]
paste.app_factory = neutron.pecan_wsgi.app:versions_factory
[app:v2app]
paste.app_factory = neutron.api.v2.router:APIRouter.factory
"""


def configure(services):
    folder = services.folder / "neutron"
    services.write("neutron/paste.ini", PASTE)
    return services.write(
        "neutron/neutron.conf",
        base.ini(
            {
                "DEFAULT": {
                    "bind_host": "127.0.0.1",
                    "bind_port": base.PORTS["network"],
                    "transport_url": database.BUS,
                    "state_path": folder,
                    "api_paste_config": folder / "paste.ini",
                    "host": "cloud",
                    "core_plugin": "ml2",
                    "service_plugins": "",
                    "api_workers": 0,
                    "rpc_workers": 0,
                    "rpc_state_report_workers": 0,
                    "global_physnet_mtu": MTU,
                    "interface_driver": "linuxbridge",
                    "enable_isolated_metadata": "true",
                    "force_metadata": "true",
                    "nova_metadata_host": "127.0.0.1",
                    "metadata_proxy_shared_secret": compute.SECRET,
                    "metadata_workers": 0,
                },
                "agent": {"root_helper": "sudo", "report_interval": 5},
                "database": database.connection(services, "neutron"),
                "keystone_authtoken": identity.authtoken(),
                "nova": identity.authtoken(),
                "placement": identity.authtoken(),
                "oslo_concurrency": {"lock_path": folder / "locks"},
                "experimental": {"linuxbridge": "true"},
                "ml2": {
                    "type_drivers": "flat",
                    "tenant_network_types": "flat",
                    "mechanism_drivers": "linuxbridge",
                    "extension_drivers": "port_security",
                },
                "ml2_type_flat": {"flat_networks": "physnet1"},
                "linux_bridge": {"physical_interface_mappings": "physnet1:clext0"},
                "vxlan": {"enable_vxlan": "false"},
                "securitygroup": {"firewall_driver": "iptables", "enable_ipset": "true"},
            }
        ),
    )


def words(services):
    return "--config-file", services.folder / "neutron" / "neutron.conf"


def begin(services):
    """Begin to make the database."""
    path = configure(services)
    manage = ("neutron.db.migration.cli", "main", "--config-file", path)
    return services.begin("neutron-db", *manage, "upgrade", "heads")


def start(services, database_made):
    services.end(database_made)
    realm = services.realm
    realm.run("ip", "link", "add", "clext0", "type", "veth", "peer", "name", "clext1")
    realm.run("ip", "address", "add", f"{ROUTER}/{PREFIX}", "dev", "clext1")
    for name in ("clext0", "clext1"):
        realm.run("ip", "link", "set", name, "mtu", MTU, "up")
    services.python("neutron-server", "neutron.cmd.eventlet.server", "main", *words(services))


def wait(services):
    """Wait for the server, and start its agents: what they ask before it listens is lost, and they
    wait a minute for the answer.
    """
    services.wait("neutron-server", lambda: services.listens(base.PORTS["network"]))
    environment = {"PATH": services.folder / "bin"}
    bridge = "neutron.cmd.eventlet.plugins.linuxbridge_neutron_agent"
    for name, module in (
        ("neutron-bridge", bridge),
        ("neutron-dhcp", "neutron.cmd.eventlet.agents.dhcp"),
        ("neutron-metadata", "neutron.cmd.eventlet.agents.metadata"),
    ):
        services.python(name, module, "main", *words(services), environment=environment)


def wait_for_agents(services, sdk):
    def ready():
        alive = {agent.agent_type for agent in sdk.network.agents() if agent.is_alive}
        return {"Linux bridge agent", "DHCP agent"} <= alive

    services.wait("neutron-bridge", ready)


def make(sdk):
    """The network that all servers are in."""
    network = sdk.network.create_network(
        name="shared",
        is_shared=True,
        provider_network_type="flat",
        provider_physical_network="physnet1",
    )
    sdk.network.create_subnet(
        network_id=network.id,
        name="shared4",
        ip_version=4,
        cidr=SUBNET,
        gateway_ip=ROUTER,
        allocation_pools=[dict(zip(("start", "end"), POOL, strict=True))],
        dns_nameservers=[ROUTER],
        host_routes=[{"destination": ELSEWHERE, "nexthop": ROUTER}],
    )
    return network
