"""Serve a WSGI application of Debian's packages: python3 wsgi.py MODULE:FUNCTION PORT.

It runs on Debian's interpreter, where these packages are.  HTTP/1.0 and a thread per request: a
connection that is closed after each answer is one that no client finds dead.
"""

import importlib
import socketserver
import sys
from wsgiref import simple_server


class Server(socketserver.ThreadingMixIn, simple_server.WSGIServer):
    daemon_threads = True
    request_queue_size = 128

    def server_bind(self):
        # Not simple_server's: that asks for a host name, which nobody knows here.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address
        self.setup_environ()


class Handler(simple_server.WSGIRequestHandler):
    def address_string(self):
        return self.client_address[0]


def main(name, port):
    sys.argv = sys.argv[:1]  # the application reads the command line, too
    module, _, function = name.partition(":")
    application = getattr(importlib.import_module(module), function)()
    server = Server(("127.0.0.1", int(port)), Handler)
    server.set_app(application)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
