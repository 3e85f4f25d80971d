"""./importos deploy, logs, stop, list, delete: the commands, whatever the cloud.

    ./importos deploy openstack dns --count 2      build, upload, boot, wait, say where it is
    ./importos list openstack                      what is there
    ./importos logs openstack dns-1                its console (-f: and what is added to it)
    ./importos stop openstack dns                  all machines of a service, by power button
    ./importos delete openstack dns

provider.py is the contract of a provider, readiness.py the waiting, commands.py what is done; a
provider is a module or package here.  A new one is a line in `providers`.
Left out: updates one machine after the other (--replace replaces all at once).
"""

COMMANDS = ("deploy", "logs", "stop", "list", "delete")
ASKING = COMMANDS[1:]  # these build nothing
READY_TIMEOUT, STOP_TIMEOUT = 300, 60  # seconds
DOING = {
    "logs": "Show consoles",
    "stop": "Stop by the power button, and wait; the exit status is 1 if one is not off then",
    "list": "List what was deployed",
    "delete": "Delete",
}
INTERRUPTED = "Ctrl-C removes what this run has made, but for --keep."


def providers():
    """{name: class}."""
    from tools.deploy.kubevirt import KubeVirt
    from tools.deploy.libvirt import Libvirt
    from tools.deploy.openstack import OpenStack

    return {provider.NAME: provider for provider in (OpenStack, Libvirt, KubeVirt)}


def builds(command):
    """Whether a command of ./importos, ours or another, builds: what it needs is more then."""
    return command not in ASKING


def add_parsers(commands, made, parser_class, service):
    """Add our commands to those of ./importos; `made` has the options of a build."""

    def command(name, what, more=""):
        text = f"{what[0].upper()}{what[1:]}.{more}"
        parser = commands.add_parser(name, help=what, description=text)
        return parser.add_subparsers(
            dest="provider", metavar="PROVIDER", required=True, parser_class=parser_class
        )

    deploy = command("deploy", "build a service and boot it in a cloud")
    others = {
        "logs": command("logs", "show the console of machines that were deployed"),
        "stop": command("stop", "stop machines that were deployed, by their power button"),
        "list": command("list", "list the machines that were deployed"),
        "delete": command(
            "delete",
            "delete machines that were deployed",
            "  What several shared (image, security group) goes with the last of them.",
        ),
    }
    for name, provider in providers().items():
        one = deploy.add_parser(
            name,
            parents=[made],
            help=provider.HELP,
            description=f"Build a service and boot it: {provider.HELP}.",
            epilog=f"{provider.EPILOG}  {INTERRUPTED}",
        )
        one.add_argument("service", metavar="SERVICE", help=service)
        one.add_argument("--name", metavar="NAME", help="of the machine; default: the service's")
        one.add_argument(
            "--count", type=_number, default=1, metavar="N", help="machines, NAME-1 to NAME-N"
        )
        one.add_argument(
            "--wait", dest="wait", action="store_true", default=True, help="until they are ready"
        )
        one.add_argument(
            "--no-wait", dest="wait", action="store_false", help="do not wait until they are ready"
        )
        one.add_argument(
            "--timeout",
            type=_positive,
            default=READY_TIMEOUT,
            metavar="SECONDS",
            help=f"how long to wait (default: {READY_TIMEOUT})",
        )
        one.add_argument(
            "--keep", action="store_true", help="keep machines that do not become ready"
        )
        one.add_argument("--no-build", action="store_true", help="deploy what was built last")
        provider.add_connection(one)
        provider.add_options(one)
        for verb, where in others.items():
            what = DOING[verb]
            one = where.add_parser(
                name, help=provider.HELP, description=f"{what}: {provider.HELP}."
            )
            if verb == "logs":
                one.add_argument(
                    "-f",
                    "--follow",
                    action="store_true",
                    help="and what is added to it, until the machine is off or Ctrl-C",
                )
            if verb == "delete":
                provider.add_deletion(one)
            if verb == "stop":
                one.add_argument(
                    "--timeout",
                    type=_positive,
                    default=STOP_TIMEOUT,
                    metavar="SECONDS",
                    help=f"how long to wait (default: {STOP_TIMEOUT})",
                )
            one.add_argument(
                "names",
                nargs="*" if verb == "list" else "+",
                metavar="NAME",
                help="of a machine, or of a service: all of its machines",
            )
            provider.add_connection(one)


def _number(text):
    return int(text)


def _positive(text):
    if int(text) < 1:
        raise ValueError
    return int(text)


_number.__name__ = _positive.__name__ = "number"  # argparse's "invalid number value"


def run(options, build):
    """Do a command; `build(options)` makes the images and returns their folder."""
    from tools.deploy import commands

    return commands.run(providers()[options.provider](options), options, build)
