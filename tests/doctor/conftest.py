from __future__ import annotations

from collections.abc import Iterable

from edge_passd.doctor.finding import Finding
from tests.board.conftest import machine, program

__all__ = ["machine", "program"]


def by_name(findings: Iterable[Finding]) -> dict[str, Finding]:
    return {each.name: each for each in findings}
