"""HTTP/1.1 server, RFC 9112 and 9110: `from net.http import Http`.  See docs/http.md.

    http = Http(machine, inet.tcp, hello)
    http.listen(80)

    def hello(request, response):
        response.send("text/plain", b"Hello")

    server      Http: connections, limits, and requests that were seen before
    session     one connection: bytes in, requests one after the other, bytes out
    head        request line and fields: found, checked, noted where they are
    request     what a handler sees of them
    body        bodies of known length and chunked ones
    response    what a handler answers with
    answer      answers that are ready to be sent
    status      codes and their names
    date        the Date field
    routes      a handler for each path, where a service wants that

Everything takes place in the callbacks of a connection of net/tcp, on any host.
Left out: a client, TLS, upgrades, trailers (read and dropped), content codings of requests.
"""

from net.http.server import Http

__all__ = ["Http"]
