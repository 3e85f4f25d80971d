"""Knowledge: what settings, DHCP and routers say about the network, as attributes of the stack.

    inet.dns, inet.ntp         addresses
    inet.search, inet.domain, inet.hostname, inet.captive

In images in which somebody reads one of these (tools/image/closure.py, PARTS).
Above: Stack.learn.  Settings: dns=, ntp=, search= with commas, domain=, hostname=.
"""

from net.address import parse


class Knowledge:
    def __init__(self, stack):
        self.stack = stack
        self.lessons = []  # of (who, facts)
        self.learn(stack, told(stack.settings))

    def learn(self, who, facts):
        """Lists of several sources are joined; of texts the first one's counts."""
        self.lessons = [lesson for lesson in self.lessons if lesson[0] is not who]
        self.lessons.append((who, facts))
        stack = self.stack
        stack.dns = self.gathered("dns")
        stack.search = self.gathered("search")
        stack.ntp = self.gathered("ntp")
        stack.domain = self.heard("domain")
        stack.hostname = self.heard("hostname")
        stack.captive = self.heard("captive")

    def gathered(self, what):
        found = []
        for _, facts in self.lessons:
            for value in facts.get(what, ()):
                if value not in found:
                    found.append(value)
        return found

    def heard(self, what):
        said = [facts[what] for _, facts in self.lessons if facts.get(what)]
        return said[0] if said else ""


def told(settings):
    """What the settings say about the network."""
    facts = {"hostname": settings.get("hostname"), "domain": settings.get("domain")}
    names = settings.get("dns")
    facts["dns"] = [parse(name) for name in names.split(",")] if names else []
    times = settings.get("ntp")
    times = times.split(",") if times else []
    # (Time servers may have names, which net/ntp looks up.)
    facts["ntp"] = [parse(time) for time in times if ":" in time or time.replace(".", "").isdigit()]
    search = settings.get("search")
    facts["search"] = search.split(",") if search else []
    return facts
