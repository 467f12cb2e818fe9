"""Where the live view listens, and who may look."""

from __future__ import annotations

import re
import secrets
import socket
from dataclasses import dataclass, field

from edge_passd.errors import BadInput
from edge_passd.serve.access import is_loopback

LEAST_TOKEN, MOST_TOKEN = 16, 256  # characters
_RANDOM_BYTES = 24  # 192 bits, 32 characters
_EVERY = ("0.0.0.0", "::", "")
# What stands in a header, a URL and a cookie as it is.
_TOKEN = re.compile(rf"[A-Za-z0-9._~-]{{{LEAST_TOKEN},{MOST_TOKEN}}}")


@dataclass(frozen=True)
class ServeOptions:
    """port: 1-65535. host: an address or name of this machine. token: what viewers must show.

    Raises BadInput for a port or token that cannot be, or a host that others reach and no token.
    """

    port: int
    host: str = "127.0.0.1"
    token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not 1 <= self.port <= 65535:
            raise BadInput(f"port {self.port}: a port is a number from 1 to 65535, such as 8080")
        if self.token is not None and not _TOKEN.fullmatch(self.token):
            raise BadInput(
                f"the token must have {LEAST_TOKEN} to {MOST_TOKEN} characters of A-Z, a-z, 0-9, "
                "'.', '_', '~' and '-'; `openssl rand -hex 16` makes one"
            )
        if self.token is None and not is_loopback(self.host):
            raise BadInput(
                f"host {self.host}: others can reach the page there, so it needs a token"
            )

    @property
    def url(self) -> str:
        """Where to look; where it listens on every address, by the name of this machine."""
        name = socket.gethostname() if self.host in _EVERY else self.host
        return f"http://{f'[{name}]' if ':' in name else name}:{self.port}/"


def new_token() -> str:
    """A random token of 32 characters."""
    return secrets.token_urlsafe(_RANDOM_BYTES)
