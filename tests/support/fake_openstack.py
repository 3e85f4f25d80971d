"""An OpenStack cloud made of dictionaries, behind the HTTP library of openstacksdk: for what a real
one does only on bad days.

`FakeCloud.send` takes the place of requests' adapter, so everything above it is the real client.
Answers have the shapes of Keystone, Glance, Nova and Neutron as recorded from Zed, with what nobody
reads left away.  `fail[METHOD, path]` is what a request gets instead: (status, body), or an
exception to raise.
"""

import hashlib
import io
import itertools
import json
import re
from urllib.parse import parse_qs, urlsplit

import requests

AUTH = "http://keystone.test/v3"
HOSTS = {"image": "http://glance.test", "network": "http://neutron.test"}
COMPUTE = "http://nova.test/v2.1"
FLAVORS = [("tiny", 64, 1), ("small", 512, 1), ("diskless", 64, 0), ("large", 4096, 20)]


class FakeCloud:
    def __init__(self):
        self.images, self.servers, self.groups, self.data = {}, {}, {}, {}
        self.rules, self.requests = [], []
        self.networks = [{"id": "net-1", "name": "shared", "router:external": False}]
        self.flavors = [
            {"id": f"f-{name}", "name": name, "ram": ram, "disk": disk, "vcpus": 1}
            for name, ram, disk in FLAVORS
        ]
        self.state, self.fault = "ACTIVE", None  # of servers, once they are made
        self.console = "[    0.031] ready: hello 10.0.0.7\n"
        self.fail = {}
        self.corrupt = False  # what is uploaded arrives as something else
        self.ids, self.minutes = itertools.count(1), itertools.count(1)

    def now(self):
        """A minute later each time."""
        return f"2026-01-01T00:{next(self.minutes):02}:00Z"

    # requests' adapter

    def send(self, request, **_):
        url = urlsplit(request.url)
        service = {"keystone.test": "identity", "nova.test": "compute"}.get(url.hostname)
        service = service or {"glance.test": "image", "neutron.test": "network"}.get(url.hostname)
        if service is None:
            raise requests.exceptions.ConnectionError(f"cannot resolve {request.url}")
        self.requests.append((request.method, url.path))
        body = request.body
        if hasattr(body, "read"):
            body = body.read()
        for (method, pattern), answer in self.fail.items():
            if method == request.method and re.fullmatch(pattern, url.path):
                if isinstance(answer, BaseException):
                    raise answer
                return self.answer(request, *answer)
        handler = getattr(self, service)
        return self.answer(request, *handler(request.method, url, body))

    def answer(self, request, status, body=None, headers=None):
        made = requests.Response()
        made.status_code, made.request, made.url = status, request, request.url
        content = b"" if body is None else json.dumps(body).encode()
        made.raw = io.BytesIO(content)
        made.headers.update({"Content-Type": "application/json", **(headers or {})})
        made.headers["Content-Length"] = str(len(content))
        return made

    # Keystone

    def identity(self, method, url, body):
        if method == "POST" and url.path == "/v3/auth/tokens":
            addresses = (*HOSTS.items(), ("identity", AUTH), ("compute", COMPUTE))
            catalog = [
                {"type": kind, "name": kind, "endpoints": [{"interface": "public", "url": address}]}
                for kind, address in addresses
            ]
            for entry in catalog:
                entry["endpoints"][0] |= {
                    "region": "here",
                    "region_id": "here",
                    "id": entry["type"],
                }
            token = {"project": {"id": "p"}, "user": {"id": "u"}, "methods": ["password"]}
            token |= {"issued_at": "2026-01-01T00:00:00Z", "expires_at": "2126-01-01T00:00:00Z"}
            made = {"token": {**token, "catalog": catalog}}
            return 201, made, {"X-Subject-Token": "gAAAA" + "t" * 60}
        version = {"id": "v3.14", "status": "stable", "links": [{"rel": "self", "href": AUTH}]}
        return (200, {"version": version}) if url.path == "/v3" else (300, {"versions": [version]})

    # Glance

    def image(self, method, url, body):
        parts = url.path.strip("/").split("/")
        if parts in ([""], ["v2"]):
            link = [{"rel": "self", "href": "http://glance.test/v2/"}]
            return 300, {"versions": [{"id": "v2.9", "status": "CURRENT", "links": link}]}
        match method, parts[2:]:
            case "GET", []:
                wanted = parse_qs(url.query).get("name")
                found = [i for i in self.images.values() if not wanted or i["name"] in wanted]
                return 200, {"images": found}
            case "POST", []:
                made = {**json.loads(body), "id": f"image-{next(self.ids)}", "status": "queued"}
                made["created_at"] = self.now()
                self.images[made["id"]] = made
                return 201, made
            case "PUT", [name, "tags", tag]:
                self.images[name].setdefault("tags", []).append(tag)
                return 204, None
            case "PUT", [name, "file"]:
                data = b"something else" if self.corrupt else body
                image = self.images[name]
                image |= {"status": "active", "size": len(data), "os_hash_algo": "sha512"}
                image["os_hash_value"] = hashlib.sha512(data).hexdigest()
                return 204, None
            case "GET", [name] if name in self.images:
                return 200, self.images[name]
            case "DELETE", [name] if name in self.images:
                del self.images[name]
                return 204, None
        return 404, {"message": "no such image"}

    # Nova

    def compute(self, method, url, body):
        parts = url.path.strip("/").split("/")[1:]
        body = json.loads(body) if body else None
        match method, parts:
            case "GET", []:
                link = [{"rel": "self", "href": COMPUTE}]
                known = {"id": "v2.1", "status": "CURRENT", "links": link}
                return 200, {"version": {**known, "version": "2.93", "min_version": "2.1"}}
            case "GET", ["flavors", "detail"]:
                return 200, {"flavors": self.flavors}
            case "GET", ["servers", "detail"]:
                return 200, {"servers": list(self.servers.values())}
            case "POST", ["servers"]:
                wanted = body["server"]
                made = {"id": f"server-{next(self.ids)}", "status": self.state, **wanted}
                made["created_at"] = self.now()
                made["addresses"] = {"shared": [{"addr": "10.0.0.7", "version": 4}]}
                if self.fault:
                    made["fault"] = {"code": 500, "message": self.fault}
                self.servers[made["id"]] = made
                return 202, {"server": {"id": made["id"]}}
            case "POST", ["servers", name, "action"] if name in self.servers:
                return self.action(self.servers[name], *body.popitem())
            case "GET", ["servers", name] if name in self.servers:
                return 200, {"server": self.servers[name]}
            case "DELETE", ["servers", name] if name in self.servers:
                del self.servers[name]
                return 204, None
        return 404, {"itemNotFound": {"message": "no such server", "code": 404}}

    def action(self, server, what, more):
        match what:
            case "os-getConsoleOutput":
                return 200, {"output": self.console}
            case "os-stop":
                server["status"] = "SHUTOFF"
            case "os-start":
                server["status"] = "ACTIVE"
            case "rebuild":
                server |= {"image": {"id": more["imageRef"]}, "metadata": more["metadata"]}
                return 202, {"server": server}
        return 202, None

    # Neutron

    def network(self, method, url, body):
        parts = url.path.strip("/").split("/")
        body = json.loads(body) if body else None
        match method, parts:
            case "GET", ["" | "v2.0"]:
                link = [{"rel": "self", "href": "http://neutron.test/v2.0"}]
                return 200, {"versions": [{"id": "v2.0", "status": "CURRENT", "links": link}]}
            case "GET", ["v2.0", "networks"]:
                return 200, {"networks": self.networks}
            case "GET", ["v2.0", "security-groups"]:
                name = parse_qs(url.query).get("name")
                found = [g for g in self.groups.values() if not name or g["name"] in name]
                return 200, {"security_groups": found}
            case "POST", ["v2.0", "security-groups"]:
                made = {"id": f"group-{next(self.ids)}", **body["security_group"]}
                made["created_at"] = self.now()
                self.groups[made["id"]] = made
                return 201, {"security_group": made}
            case "POST", ["v2.0", "security-group-rules"]:
                self.rules.append(body["security_group_rule"])
                return 201, {"security_group_rule": {"id": f"rule-{next(self.ids)}"}}
            case "DELETE", ["v2.0", "security-groups", name]:
                group = {"name": name}  # Nova has names and ids under that word
                if any(group in s.get("security_groups", []) for s in self.servers.values()):
                    error = {"message": "in use", "type": "SecurityGroupInUse", "detail": ""}
                    return 409, {"NeutronError": error}
                del self.groups[name]
                return 204, None
        return 404, {"NeutronError": {"message": "nothing there", "type": "", "detail": ""}}
