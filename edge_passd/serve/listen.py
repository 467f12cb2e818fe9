"""The socket that the live view listens on."""

from __future__ import annotations

import errno
import os
import socket

from edge_passd.errors import BadInput

_BACKLOG = 32
# What the kernel holds for a viewer who does not keep up: a few pictures late, not a few seconds.
_SEND_BUFFER = 128 * 1024
_DEAD_MS = 20_000  # a viewer who acknowledges nothing for so long is gone


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; BadInput if the host is none of this machine or the port not free."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise BadInput(f"host {host}: not known; give an address of this machine") from None
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Connections inherit these.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _DEAD_MS)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise _explained(error, host, port) from error
    listener.setblocking(False)
    return listener


def _explained(error: OSError, host: str, port: int) -> BadInput:
    match error.errno:
        case errno.EADDRINUSE:
            return BadInput(f"port {port} is in use by another program; give another port")
        case errno.EACCES:
            return BadInput(f"port {port}: no right to use it; give one from 1024 up, such as 8080")
        case errno.EADDRNOTAVAIL:
            return BadInput(f"host {host}: no address of this machine; `ip address` lists them")
    reason = os.strerror(error.errno or 0).lower()
    return BadInput(f"cannot listen on {host} port {port}: {reason}; give another")
