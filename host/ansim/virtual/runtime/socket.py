"""The chip's socket module: the host's sockets, reached through the air."""

import _link
import usocket

AF_INET = usocket.AF_INET
SOCK_STREAM = usocket.SOCK_STREAM
SOCK_DGRAM = usocket.SOCK_DGRAM
SOL_SOCKET = usocket.SOL_SOCKET
SO_REUSEADDR = usocket.SO_REUSEADDR
socket = usocket.socket

IPPROTO_TCP = 6
IPPROTO_UDP = 17
TCP_NODELAY = 1

# lwIP's EAI_FAIL: what getaddrinfo gives without a network, and for a name that nobody knows.
_NO_ANSWER = -202


def getaddrinfo(host, port, af=AF_INET, type=SOCK_STREAM, proto=0, flags=0):
    """Return one address. It is of use for connect() only: the board forwards what is sent there."""
    local_port = _link.ask(_link.RESOLVE, port, host.encode())
    if local_port < 0:
        raise OSError(_NO_ANSWER)
    return [(AF_INET, type, proto, "", usocket.getaddrinfo("127.0.0.1", local_port)[0][-1])]
