"""The boards that a user names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from edge_passd.errors import BadInput

# What ssh takes, less what a shell, a file system or ssh's own options would understand.
_USER = r"(?:[A-Za-z0-9_.][\w.+-]*@)?"
_NAME = r"([A-Za-z0-9_.:][\w.:%-]*)"
_PLAIN = re.compile(f"{_USER}{_NAME}", re.ASCII)
_URL = re.compile(
    rf"ssh://{_USER}([A-Za-z0-9_.][\w.-]*|\[[0-9A-Fa-f.:]+\])(?::\d{{1,5}})?", re.ASCII
)


@dataclass(frozen=True)
class Host:
    """destination: as ssh takes it. name: the host's alone, for rows, files and messages."""

    destination: str
    name: str


def parse_hosts(texts: Sequence[str]) -> tuple[Host, ...]:
    """`[user@]host` or `ssh://[user@]host[:port]` each; BadInput for anything else."""
    hosts = tuple(map(_parse_host, texts))
    names = [host.name for host in hosts]
    for name in names:
        if names.count(name) > 1:
            raise BadInput(
                f"--remote: {name} stands twice; two measurements at once would disturb each other"
            )
    return hosts


def _parse_host(text: str) -> Host:
    found = _PLAIN.fullmatch(text) or _URL.fullmatch(text)
    if found is None:
        raise BadInput(
            f"--remote: {text!r:.80} is no host; give user@host, ssh://user@host:port or a name "
            "from ~/.ssh/config"
        )
    return Host(text, found[1])
