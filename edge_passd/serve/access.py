"""Who may look: the token in its three places, and the name by which the page was called."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from ipaddress import ip_address

BEARER = "bearer "
# A name or address, of IPv6 in brackets, and maybe a port.
_HOST = re.compile(
    r"(?:\[(?P<v6>[0-9a-fA-F:.]{2,45})\]|(?P<name>[^\s\[\]:]{1,253}))(?::[0-9]{1,5})?"
)


def is_loopback(host: str) -> bool:
    """Whether this address or name is never more than this machine itself."""
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:  # the way to ask whether it is an address
        return False


def is_called_local(host_header: str | None) -> bool:
    """Whether a browser meant this machine by the address it was given.

    A page elsewhere can have its own name resolve to 127.0.0.1 and read what is served there as
    if it were its own (DNS rebinding); its name still stands in the Host header.
    """
    match = _HOST.fullmatch(host_header or "")
    return match is not None and is_loopback(match["v6"] or match["name"])


def cookie_value(token: str) -> str:
    """What the cookie holds: tells nothing of the token, and outlives a restart of the server."""
    return hmac.new(token.encode(), b"edge-passd live view", hashlib.sha256).hexdigest()


def bearer(headers: Mapping[str, str]) -> str | None:
    """The token of an `Authorization: Bearer` header."""
    value = headers.get("Authorization", "")
    return value[len(BEARER) :].strip() if value.lower().startswith(BEARER) else None


def same(secret: str, given: str) -> bool:
    """Whether they are equal, in a time that tells nothing of where they differ."""
    return hmac.compare_digest(secret.encode(), given.encode(errors="backslashreplace"))
