"""Which operator fails in which engine, found by trying: see `cases`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from edge_passd.doctor.answers import ANSWERS, FOLDER
from edge_passd.doctor.cases import CASES, Case
from edge_passd.doctor.child import Call, Outcome, series
from edge_passd.doctor.finding import LIMITED
from edge_passd.doctor.runners import RUNNERS
from edge_passd.doctor.trials import (
    CONFORMANT,
    CRASHED,
    UNSUPPORTED,
    WRONG,
    Verdict,
    try_operator,
)

LIMIT_S = 15.0  # for one operator, and in each child's first for the engine's library

Runners = Mapping[str, tuple[Callable[..., Any], str]]
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Conformance:
    """verdicts: by the names of engines and cases; no case without a file for the engine."""

    verdicts: Mapping[str, Mapping[str, Verdict]]

    @property
    def broken(self) -> bool:
        """Whether something is computed wrong or crashes. What is unsupported breaks nothing."""
        return any(
            each.state in (WRONG, CRASHED)
            for verdicts in self.verdicts.values()
            for each in verdicts.values()
        )

    def tests(self, engine: str, operator: str) -> list[tuple[str, Verdict]]:
        """Titles and verdicts of the cases that tell of an ONNX operator."""
        return [
            (CASES[name].title, verdict)
            for name, verdict in self.verdicts.get(engine, {}).items()
            if operator in CASES[name].operators
        ]

    def to_dict(self) -> dict[str, Any]:
        """For JSON: engine, case, then state, reason and error."""
        return {
            engine: {name: asdict(verdict) for name, verdict in verdicts.items()}
            for engine, verdicts in self.verdicts.items()
        }


def try_operators(
    engines: Collection[str],
    tell: Tell = lambda _: None,
    runners: Runners = RUNNERS,
    limit_s: float = LIMIT_S,
    answers: Path = ANSWERS,
) -> Conformance:
    """Try all cases in each of the engines that there is a runner for.

    tell: is told the name of what is tried next. limit_s: for each operator.
    """
    return Conformance(
        {
            name: _try_engine(name, *runners[name], tell, limit_s, answers)
            for name in engines
            if name in runners
        }
    )


def _try_engine(
    engine: str,
    load: Callable[..., Any],
    suffix: str,
    tell: Tell,
    limit_s: float,
    answers: Path,
) -> dict[str, Verdict]:
    files = {name: FOLDER / f"{name}{suffix}" for name in CASES}
    names = [name for name, file in files.items() if file.exists()]
    calls = [
        Call(try_operator, (load, files[name], name, CASES[name].tolerance, answers))
        for name in names
    ]
    verdicts = {}
    outcomes = series(calls, limit_s)
    for name in names:
        tell(f"{engine}: {CASES[name].title}")
        verdicts[name] = _verdict(CASES[name], next(outcomes))
    return verdicts


def _verdict(case: Case, outcome: Outcome) -> Verdict:
    if outcome.died:
        return Verdict(CRASHED, outcome.problem)
    if outcome.problem:
        return Verdict(UNSUPPORTED, outcome.problem)
    verdict: Verdict = outcome.value
    if verdict.state == WRONG and verdict.error is not None and case.limit:
        return replace(verdict, state=LIMITED, reason=f"{verdict.reason}: {case.limit}")
    return verdict


def is_conformant(tests: Collection[tuple[str, Verdict]]) -> bool:
    """Whether none of the results of `Conformance.tests` is a failure."""
    return all(verdict.state in (CONFORMANT, LIMITED) for _, verdict in tests)
