"""Numbers as people read them."""

from __future__ import annotations

MINUS = "\N{MINUS SIGN}"


def milliseconds(value: float) -> str:
    """With as many digits as mean something; never 0."""
    if value >= 1e6:
        return f"{value:.2e}"
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}" if value >= 0.095 else f"{value:.2g}"


def percent(share: float) -> str:
    """Of 0-1, without the sign."""
    return f"{100 * share:.1f}"


def points(difference: float) -> str:
    """Of a difference of two shares, in points of a hundred, with its sign."""
    return f"{100 * difference:+.2f}".replace("-", MINUS)


def megabytes(size: float) -> str:
    """Of bytes."""
    return f"{size / 1e6:,.1f}" if size < 1e8 else f"{size / 1e6:,.0f}"


def significant(value: float, digits: int = 3) -> str:
    """With so many digits."""
    return f"{value:.{digits}g}"
