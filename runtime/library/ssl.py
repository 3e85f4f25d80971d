"""`ssl`: there is no TLS in this machine; programs that can do without it may import its names.

Put whatever ends TLS in front of the machine (a load balancer, stunnel).  A program that asks for
a secure connection after all gets an OSError that says so.
"""

from runtime.waiting import failure

PROTOCOL_TLS_CLIENT = 0
PROTOCOL_TLS_SERVER = 1
CERT_NONE = 0
CERT_OPTIONAL = 1
CERT_REQUIRED = 2

_NOT_SUPPORTED = 95
SSLError = OSError


def _none(*arguments, **named):
    raise failure(_NOT_SUPPORTED, "there is no TLS in this machine: end it in front")


class SSLContext:
    verify_mode = CERT_NONE

    def __init__(self, protocol=PROTOCOL_TLS_CLIENT):
        self.protocol = protocol

    wrap_socket = load_cert_chain = load_verify_locations = _none


wrap_socket = _none


def create_default_context(*arguments, **named):
    return SSLContext()
