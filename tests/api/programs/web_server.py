"""An ordinary CPython program: a threading HTTP server, as everybody writes it."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def reply(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.reply(b"you asked for " + self.path.encode())

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        self.reply(self.rfile.read(length)[::-1])

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("", 80), Handler)
print("serving", flush=True)
server.serve_forever()
