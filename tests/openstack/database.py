"""What the services share: MariaDB on a unix socket, and RabbitMQ.

MariaDB runs without its system tables and asks for no passwords: the folder is its protection.
"""

RABBIT = 5672
BUS = f"rabbit://guest:guest@127.0.0.1:{RABBIT}/"
NAMES = ("nova_api", "nova", "nova_cell0", "placement", "neutron")
CREATE = """\
import sys
import pymysql

cursor = pymysql.connect(unix_socket=sys.argv[1], user="root").cursor()
for name in sys.argv[2:]:
    cursor.execute(f"create database {name} character set utf8")
"""


def socket(services):
    return services.folder / "mariadb.socket"


def url(services, name):
    return f"mysql+pymysql://root@localhost/{name}?unix_socket={socket(services)}"


def connection(services, name):
    """A [database] section: MariaDB's, with few connections kept."""
    return {"connection": url(services, name), "max_pool_size": 5, "max_overflow": 20}


def start(services):
    data = services.folder / "mariadb"
    data.mkdir()
    services.start(
        "mariadb",
        "/usr/sbin/mariadbd",
        "--no-defaults",
        f"--datadir={data}",
        f"--socket={socket(services)}",
        f"--pid-file={services.folder}/mariadb.pid",
        "--user=root",
        "--skip-networking",
        "--skip-grant-tables",
        "--max-connections=500",
        "--innodb-buffer-pool-size=64M",
        # Nothing has to survive anything.
        "--innodb-flush-log-at-trx-commit=0",
        "--innodb-doublewrite=0",
        "--innodb-flush-method=nosync",
    )
    folder = services.folder / "rabbitmq"
    folder.mkdir()
    services.start(
        "rabbitmq",
        "/usr/lib/rabbitmq/bin/rabbitmq-server",
        environment={
            "RABBITMQ_NODENAME": "importos@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": RABBIT,
            "RABBITMQ_MNESIA_BASE": folder,
            "RABBITMQ_LOG_BASE": folder,
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": folder / "pid",
            "RABBITMQ_CONFIG_FILE": services.write("rabbitmq.conf", "loopback_users = none\n"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": services.write("rabbitmq.plugins", "[].\n"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": "14369",
        },
    )
    services.wait("mariadb", lambda: socket(services).exists())
    services.end(services.begin_code("databases", CREATE, socket(services), *NAMES))


def wait(services):
    services.wait("rabbitmq", lambda: services.listens(RABBIT))
