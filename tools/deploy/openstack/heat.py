"""A Heat template (HOT): a group of machines that grows and shrinks, behind a load balancer.

Two files: the group, and one member of it, that is a server and its places in the pools.
Everything that differs between clouds is a parameter, with a default where there is one.  The
policies are pulled by whoever watches the load: their URLs are outputs of the stack.
Left out: alarms (Aodh and Gnocchi are not in every cloud), TLS in the load balancer.
"""

from tools.deploy.provider import SERVICE_TAG

VERSION = "2018-08-31"
GROWTH = 3  # the group may grow to so many times the number that was asked for
MONITOR = {"tcp": "TCP", "udp": "UDP-CONNECT"}
DELAY, RETRIES = 5, 3  # seconds between looks at a member, and failures until it is out
COOLDOWN = 60  # seconds between two changes of size


def templates(service, ports, image, options, user_data, member_file):
    """(the group's template, a member's), as dictionaries in the order they are read."""
    pairs = [port.split(":") for port in ports]
    group = _group(service, pairs, image, options, user_data, member_file)
    return group, _member(service, pairs)


def command(service, group, file):
    """How a stack is made of the template: with the parameters that have no default."""
    open_ones = [n for n, p in group["parameters"].items() if "default" not in p]
    words = " ".join(f"--parameter {name}=..." for name in open_ones)
    return f"openstack stack create --template {file} {words} {service}"


def text(template, comment):
    import yaml

    return f"# {comment}\n" + yaml.safe_dump(template, sort_keys=False, width=100)


def _get(name):
    return {"get_param": name}


def _parameter(description, default=None, kind="string", **more):
    made = {"type": kind, "description": description, **more}
    return made if default is None else {**made, "default": default}


def _pool(protocol, port):
    return f"pool_{protocol}_{port}"


def _group(service, pairs, image, options, user_data, member_file):
    count = options.count
    network = options.network[0] if options.network else None
    parameters = {
        "image": _parameter("Image of the machines", image),
        "flavor": _parameter("Flavor of the machines", options.flavor),
        "network": _parameter("Network that the machines are in", network),
        "subnet": _parameter("Subnet for the address of the load balancer and of its members"),
        "user_data": _parameter("Configuration for the service", user_data),
        "min_size": _parameter("Never fewer machines", 1, "number"),
        "desired": _parameter("Machines to begin with", count, "number"),
        "max_size": _parameter("Never more machines", count * GROWTH, "number"),
    }
    balancer = {"get_resource": "load_balancer"}
    resources = {
        "security_group": {"type": "OS::Neutron::SecurityGroup", "properties": _rules(pairs)},
        "load_balancer": {
            "type": "OS::Octavia::LoadBalancer",
            "properties": {"vip_subnet": _get("subnet")},
        },
    }
    for protocol, port in pairs:
        pool, name = _pool(protocol, port), f"{protocol}_{port}"
        resources[f"listener_{name}"] = {
            "type": "OS::Octavia::Listener",
            "properties": {
                "loadbalancer": balancer,
                "protocol": protocol.upper(),
                "protocol_port": int(port),
            },
        }
        resources[pool] = {
            "type": "OS::Octavia::Pool",
            "properties": {
                "listener": {"get_resource": f"listener_{name}"},
                "lb_algorithm": "ROUND_ROBIN",
                "protocol": protocol.upper(),
            },
        }
        resources[f"monitor_{name}"] = {
            "type": "OS::Octavia::HealthMonitor",
            "properties": {
                "pool": {"get_resource": pool},
                "type": MONITOR[protocol],
                "delay": DELAY,
                "timeout": DELAY,
                "max_retries": RETRIES,
            },
        }
    given = ("image", "flavor", "network", "subnet", "user_data")
    resources["group"] = {
        "type": "OS::Heat::AutoScalingGroup",
        # Without them a member could not be told its place.
        **({"depends_on": [f"monitor_{a}_{b}" for a, b in pairs]} if pairs else {}),
        "properties": {
            "min_size": _get("min_size"),
            "desired_capacity": _get("desired"),
            "max_size": _get("max_size"),
            "cooldown": COOLDOWN,
            "resource": {
                "type": member_file,
                "properties": {
                    **{name: _get(name) for name in given},
                    "security_group": {"get_resource": "security_group"},
                    **{_pool(a, b): {"get_resource": _pool(a, b)} for a, b in pairs},
                },
            },
        },
    }
    outputs = {
        "address": {
            "description": "Where clients find the service",
            "value": {"get_attr": ["load_balancer", "vip_address"]},
        },
        "size": {
            "description": "Machines at the moment",
            "value": {"get_attr": ["group", "current_size"]},
        },
    }
    for name, step, what in (("grow", 1, "one machine more"), ("shrink", -1, "one machine fewer")):
        resources[name] = {
            "type": "OS::Heat::ScalingPolicy",
            "properties": {
                "auto_scaling_group_id": {"get_resource": "group"},
                "adjustment_type": "change_in_capacity",
                "scaling_adjustment": step,
                "cooldown": COOLDOWN,
            },
        }
        outputs[f"{name}_url"] = {
            "description": f"POST here for {what}",
            "value": {"get_attr": [name, "alarm_url"]},
        }
    return {
        "heat_template_version": VERSION,
        "description": f"{service}: a group of machines behind a load balancer",
        "parameters": parameters,
        "resources": resources,
        "outputs": outputs,
    }


def _rules(pairs):
    """What the service listens on, and pings; in both families."""
    rules = []
    for family, echo in (("IPv4", "icmp"), ("IPv6", "ipv6-icmp")):
        rules.append({"direction": "ingress", "ethertype": family, "protocol": echo})
        for protocol, port in pairs:
            rule = {"direction": "ingress", "ethertype": family, "protocol": protocol}
            rules.append({**rule, "port_range_min": int(port), "port_range_max": int(port)})
    return {"rules": rules}


def _member(service, pairs):
    names = ("image", "flavor", "network", "subnet", "security_group")
    parameters = {name: {"type": "string"} for name in names}
    parameters["user_data"] = {"type": "string", "default": ""}
    parameters |= {_pool(a, b): {"type": "string"} for a, b in pairs}
    resources = {
        "server": {
            "type": "OS::Nova::Server",
            "properties": {
                "image": _get("image"),
                "flavor": _get("flavor"),
                "networks": [{"network": _get("network")}],
                "security_groups": [_get("security_group")],
                "user_data_format": "RAW",
                "user_data": _get("user_data"),
                "metadata": {SERVICE_TAG: service},
            },
        }
    }
    for protocol, port in pairs:
        resources[f"member_{protocol}_{port}"] = {
            "type": "OS::Octavia::PoolMember",
            "properties": {
                "pool": _get(_pool(protocol, port)),
                "address": {"get_attr": ["server", "first_address"]},
                "protocol_port": int(port),
                "subnet": _get("subnet"),
            },
        }
    return {
        "heat_template_version": VERSION,
        "description": f"{service}: one machine, and its places behind the load balancer",
        "parameters": parameters,
        "resources": resources,
        "outputs": {"OS::stack_id": {"value": {"get_resource": "server"}}},
    }
