"""URLs of others, taken apart."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit


def split_url(url: str) -> SplitResult | None:
    """The parts of a URL whose port is a number from 1 to 65535 or left out; None if it is none."""
    try:
        parts = urlsplit(url)
        has_port = parts.port is None or parts.port > 0
    except ValueError:  # the only way to ask: brackets without an address, a port that is none
        return None
    return parts if has_port and url.isprintable() and " " not in url else None
