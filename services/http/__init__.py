"""http: a folder of files as a web site, on TCP port 80.

    ./importos run http --set site=FOLDER         curl http://127.0.0.1:5380/

    site.py     the table that the folder was compiled into
    serve.py    from request to answer: methods, conditions, variants, ranges
    ranges.py   the fields Range and If-Range
    accept.py   the field Accept-Encoding

Without a folder of the user it serves services/site.  `--set access_log=yes` logs every request.
Left out: listings of folders, TLS, virtual hosts.
"""

from net.dhcp import Dhcp
from net.http import Http
from net.inet import Inet
from net.tcp import Tcp
from net.udp import Udp
from services.http.serve import Server
from services.http.site import Site

NEEDS = {
    "site": {"folder": "../site", "compiler": "tools.site.compile:compile_site"},
    "access_log": None,
}
PORTS = ("tcp:80",)
PORT = 80


def start(machine):
    # Here and not above: the tests import this package, and have no image.
    from image import site

    inet = Inet(machine, udp=Udp, tcp=Tcp, configure=Dhcp)
    Http(machine, inet.tcp, Server(Site(site)).handle).listen(PORT)
