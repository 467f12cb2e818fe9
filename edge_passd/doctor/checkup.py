"""The whole checkup: groups of findings, the operators' conformance, a user's model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_passd import __version__
from edge_passd.board.identity import identify
from edge_passd.doctor.cameras import check_cameras
from edge_passd.doctor.conformance import Conformance, try_operators
from edge_passd.doctor.engines import check_engines
from edge_passd.doctor.finding import BROKEN, LIMITED, OK, Finding
from edge_passd.doctor.machine import check_machine
from edge_passd.doctor.model import check_model, read_operators, require_model
from edge_passd.doctor.opencv import check_opencv
from edge_passd.doctor.tools import check_extras, check_tools

SCHEMA = 1
ENGINES_GROUP, MODEL_GROUP = "engines", "model"

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Patient:
    """kind: of the board, as `board.Identity` says it. quick: nothing is tried in earnest."""

    root: Path
    kind: str
    quick: bool


Check = Callable[[Patient], Iterator[Finding]]

# In the order of the report. To add one: a function, and a row here.
GROUPS: dict[str, Check] = {
    "machine": lambda patient: check_machine(patient.root),
    ENGINES_GROUP: lambda patient: check_engines(patient.kind, patient.quick),
    "pictures": lambda patient: check_opencv(patient.kind),
    "cameras": lambda patient: check_cameras(patient.kind, patient.root),
    "tools": lambda patient: check_tools(patient.quick),
    "extras": lambda patient: check_extras(),
}


@dataclass(frozen=True)
class Report:
    """groups: findings by the group's name. conformance: None if nothing was tried."""

    groups: Mapping[str, tuple[Finding, ...]]
    conformance: Conformance | None

    @property
    def broken(self) -> bool:
        """Whether something is there and does not work."""
        findings = (each for group in self.groups.values() for each in group)
        return any(each.state == BROKEN for each in findings) or bool(
            self.conformance and self.conformance.broken
        )

    @property
    def saturating(self) -> list[str]:
        """Engines that compute full-range int8 models wrong on this processor."""
        return [each.name for each in self.groups.get(ENGINES_GROUP, ()) if each.state == LIMITED]

    def to_dict(self) -> dict[str, Any]:
        """For JSON, with stable keys."""
        return {
            "schema": SCHEMA,
            "edge_passd": __version__,
            "broken": self.broken,
            "groups": {name: [each.to_dict() for each in group]
                       for name, group in self.groups.items()},
            "operators": self.conformance.to_dict() if self.conformance else None,
        }  # fmt: skip


def check_up(
    model: Path | None = None,
    quick: bool = False,
    tell: Tell = lambda _: None,
    root: Path = Path("/"),
) -> Report:
    """Look at everything.

    model: an .onnx file to look into as well. quick: try no engine, operator or model. tell: is
    told what is being looked at. Raises BadInput for a model that is none.
    """
    if model is not None:
        require_model(model)
    operators = read_operators(model) if model else None
    patient = Patient(root, identify(root).kind, quick)
    groups: dict[str, tuple[Finding, ...]] = {}
    for name, check in GROUPS.items():
        findings = []
        tell(name)
        for finding in check(patient):
            findings.append(finding)
            tell(f"{name}: after {finding.name}")
        groups[name] = tuple(findings)
    # What does not load a model has no operators to try either.
    engines = [each.name for each in groups[ENGINES_GROUP] if each.state in (OK, LIMITED)]
    conformance = None if quick else try_operators(engines, tell)
    if model is not None:
        tell(model.name)
        groups[MODEL_GROUP] = tuple(check_model(model, operators, engines, conformance))
    return Report(groups, conformance)
