"""A cloud's metadata service, in a network namespace: documents by path, over HTTP.

server = Metadata(namespace, {"/openstack/latest/meta_data.json": b"..."})
server.asked            the paths that were asked for, in order
server.busy = 2         so many answers of status 503 come first
server.chunked = True   answers in chunks
server.token = "..."    only who brings this token is answered (EC2's IMDSv2)
"""

import http.server
import json
import threading

from tests.instance.disks import META, NETWORK

ADDRESS = "169.254.169.254"


def openstack(user_data=None, meta=META, network=NETWORK):
    documents = {
        "/openstack/latest/meta_data.json": json.dumps(meta).encode(),
        "/openstack/latest/network_data.json": json.dumps(network).encode(),
    }
    if user_data is not None:
        documents["/openstack/latest/user_data"] = user_data
    return documents


def ec2(user_data=None):
    documents = {
        "/latest/meta-data/instance-id": b"i-0000002a",
        "/latest/meta-data/hostname": b"ns2.novalocal",
        "/latest/meta-data/placement/availability-zone": b"zone-b",
        "/latest/meta-data/ami-launch-index": b"1",
        "/latest/meta-data/public-keys/0/openssh-key": b"ssh-ed25519 BBBB me\n",
    }
    if user_data is not None:
        documents["/latest/user-data"] = user_data
    return documents


class Metadata(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, namespace, documents, address=ADDRESS, port=80):
        self.documents, self.asked, self.busy, self.chunked = documents, [], 0, False
        self.token = None
        namespace.run("ip", "address", "replace", f"{address}/32", "dev", "lo")
        # The socket belongs to the namespace of the thread that makes it.
        namespace.inside(super().__init__, (address, port), Handler)
        self.thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def server_bind(self):
        # Without a question to the name server about ourselves, as http.server has it.
        self.socket.setsockopt(1, 2, 1)
        self.socket.bind(self.server_address)

    def close(self):
        self.shutdown()
        self.server_close()
        self.thread.join()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server = self.server
        server.asked.append(self.path)
        data = server.documents.get(self.path)
        if server.token and self.headers["X-aws-ec2-metadata-token"] != server.token:
            self.answer(401, b"")
        elif server.busy:
            server.busy -= 1
            self.answer(503, b"later")
        elif data is None:
            self.answer(404, b"<html>404 Not Found</html>")
        else:
            self.answer(200, data)

    def do_PUT(self):
        known = self.path == "/latest/api/token" and self.server.token
        seconds = self.headers["X-aws-ec2-metadata-token-ttl-seconds"]
        assert known and 1 <= int(seconds) <= 21600 and self.headers["Content-Length"] == "0"
        self.answer(200, self.server.token.encode())

    def answer(self, status, data):
        self.send_response(status)
        if self.server.chunked:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for at in range(0, len(data), 100):
                piece = data[at : at + 100]
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    def log_message(self, *words):
        pass
