"""A user's ONNX model: its operators, and which engines run it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from edge_passd import saturation
from edge_passd.doctor.child import call
from edge_passd.doctor.conformance import Conformance, is_conformant
from edge_passd.doctor.finding import BROKEN, LIMITED, MISSING, OK, OPTIONAL, Finding
from edge_passd.doctor.runners import RUNNERS
from edge_passd.doctor.trials import CRASHED, UNSUPPORTED, WRONG, try_model
from edge_passd.engines.base import reason
from edge_passd.engines.table import ONNX
from edge_passd.errors import BadInput
from edge_passd.files import require_file
from edge_passd.parity import FAILED_GATE

LIMIT_S = 60.0  # a large model on a slow board

_STANDARD = ("", "ai.onnx")


def require_model(path: Path) -> None:
    """Raise BadInput unless there is a file that may be an ONNX model."""
    if path.suffix.lower() not in ONNX:
        raise BadInput(f"{path}: the doctor looks into .onnx files; give one")
    require_file(path, "an .onnx model")


def read_operators(path: Path) -> Counter[str] | None:
    """How often each operator stands in a model, those within branches and loops included.

    Names of other domains than ONNX's own stand as "domain.Name". None without the onnx library.
    Raises BadInput for a file that is no ONNX model.
    """
    if find_spec("onnx") is None:
        return None
    import onnx

    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf's own, of two implementations
        raise BadInput(f"{path}: no ONNX model ({reason(error)}); export it again") from error
    if not model.graph.node:
        raise BadInput(f"{path}: no ONNX model (nothing in its graph); export it again")
    return Counter(_names(model.graph))


def _names(graph: Any) -> Iterator[str]:
    for node in graph.node:
        standard = node.domain in _STANDARD
        yield node.op_type if standard else f"{node.domain}.{node.op_type}"
        for attribute in node.attribute:
            for inner in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                yield from _names(inner)


def check_model(
    path: Path,
    operators: Counter[str] | None,
    engines: Collection[str],
    conformance: Conformance | None,
    limit_s: float = LIMIT_S,
) -> Iterator[Finding]:
    """operators: of `read_operators`. engines: that are installed and work; those for ONNX are
    tried. conformance: of them, or None where nothing is to be tried."""
    if operators is None:
        yield Finding("operators", OPTIONAL, "not listed without onnx", "pip install onnx")
    else:
        listed = ", ".join(f"{name} {count}" for name, count in operators.most_common())
        yield Finding("operators", OK, listed)
    if conformance is None:
        return
    if FAILED_GATE in path.name:
        yield Finding("parity gate", BROKEN, "this file failed it", "edge-passd export RUN -o FILE")
    takers = [name for name in engines if name in RUNNERS and RUNNERS[name][1] in ONNX]
    for name in takers:
        yield _tried(name, path, limit_s)
        if operators is not None:
            yield _known(name, operators, conformance)


def _tried(engine: str, path: Path, limit_s: float) -> Finding:
    outcome = call(try_model, RUNNERS[engine][0], path, limit_s=limit_s)
    if outcome.problem:
        return Finding(
            engine, BROKEN, outcome.problem, "try another engine, or a newer release of this one"
        )
    problem = saturation.problem(path, engine)
    if problem is not None:
        return Finding(engine, LIMITED, problem, saturation.CURES)
    return Finding(engine, OK, outcome.value)


def _known(engine: str, operators: Iterable[str], conformance: Conformance) -> Finding:
    """What the conformance checks say of the model's operators."""
    tests = {name: conformance.tests(engine, name.rpartition(".")[2]) for name in operators}
    results = {title: verdict for found in tests.values() for title, verdict in found}
    wrong = [title for title, each in results.items() if each.state in (WRONG, CRASHED)]
    unsupported = [title for title, each in results.items() if each.state == UNSUPPORTED]
    parts = {
        "wrong": wrong,
        "unsupported": unsupported,
        "limited": [title for title, each in results.items() if each.state == LIMITED],
        "conformant": [name for name, found in tests.items() if found and is_conformant(found)],
        "untested": [name for name, found in tests.items() if not found],
    }
    text = "; ".join(f"{word}: {', '.join(names)}" for word, names in parts.items() if names)
    state = BROKEN if wrong else MISSING if unsupported else OK
    return Finding(f"{engine}, operators", state, text)
