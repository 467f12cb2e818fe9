"""One line of the doctor's report."""

from __future__ import annotations

from dataclasses import asdict, dataclass

OK = "ok"
MISSING = "missing"  # and this machine should have it
OPTIONAL = "optional"  # missing, which is no fault
BROKEN = "broken"  # there, and does not work
LIMITED = "limited"  # works, and less well than it should because of the processor
UNTRIED = "untried"  # there; whether it works was not asked


@dataclass(frozen=True)
class Finding:
    """name: what was looked for. state: OK, MISSING, OPTIONAL, BROKEN, LIMITED or UNTRIED.

    found: versions, places, reasons. cure: what to do, or "" if nothing; for OK a hint.
    """

    name: str
    state: str
    found: str
    cure: str = ""

    def to_dict(self) -> dict[str, str]:
        """For JSON."""
        return asdict(self)
