"""The engines there are. To add one: a file with its class, and a row here."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from edge_passd import saturation
from edge_passd.bundle.archive import read_manifest
from edge_passd.engines.base import Engine
from edge_passd.errors import BadInput

AUTO = "auto"
RUN_FOLDER = "a run folder"
ONNX = (".onnx",)
TFLITE = (".tflite",)
BUNDLE = (".passd",)

_HERE = "edge_passd.engines"


@dataclass(frozen=True)
class EngineRow:
    """target: "module:Class". takes: file suffixes, or RUN_FOLDER.

    libraries: modules of which it needs one; none for an engine that a model brings along.
    extra: of this package, the one that installs it; "" if none does.
    bundles: the kinds of target whose bundles it runs, of those that BUNDLE says it takes.
    """

    target: str
    takes: tuple[str, ...]
    libraries: tuple[str, ...]
    extra: str
    bundles: tuple[str, ...] = ()

    @property
    def library(self) -> str | None:
        """The first of `libraries` that is installed."""
        return next(filter(find_spec, self.libraries), None)

    @property
    def installed(self) -> bool:
        """Whether it has all that it needs."""
        return not self.libraries or self.library is not None


# In the order in which "auto" tries them.
ENGINES = {
    name: EngineRow(target, takes, libraries, extra, tuple(bundles))
    for name, target, takes, libraries, extra, *bundles in (
        (
            "onnxruntime",
            f"{_HERE}.onnxruntime:OnnxRuntimeEngine",
            ONNX,
            ("onnxruntime",),
            "onnxruntime",
        ),
        ("openvino", f"{_HERE}.openvino:OpenVinoEngine", ONNX, ("openvino",), "openvino"),
        (
            "tflite",
            f"{_HERE}.tflite:TfliteEngine",
            TFLITE,
            ("ai_edge_litert", "tflite_runtime"),
            "tflite",
        ),
        ("tvm", f"{_HERE}.tvm:TvmEngine", BUNDLE, (), "targets", "arm", "x86"),
        ("cuda", f"{_HERE}.cuda:CudaEngine", BUNDLE, (), "", "cuda"),
        ("torch", "quant.engine:TorchEngine", (RUN_FOLDER,), ("torch",), "quant"),
    )
}


def load_engine(
    path: Path, name: str = AUTO, threads: int | None = None, allow_saturation: bool = False
) -> Engine:
    """Load the model at `path` with the named engine, or the first installed that is right.

    threads: of the computation; None leaves the choice to the engine. allow_saturation: see
    `choose`.
    Raises BadInput for a path that no engine, or not this one, takes, a missing library, a file
    that cannot be loaded, or one that the engine computes wrong on this processor.
    """
    row = ENGINES[choose(path, name, allow_saturation)]
    module, _, engine_class = row.target.partition(":")
    return getattr(import_module(module), engine_class)(path, threads)


def choose(path: Path, name: str = AUTO, allow_saturation: bool = False) -> str:
    """The name of the engine that will load `path`; errors as `load_engine`.

    allow_saturation: take an engine that computes the model wrong on this processor, see
    `edge_passd.saturation`, with a warning in place of the error.
    """
    if name != AUTO and name not in ENGINES:
        raise BadInput(f"no engine {name!r}; there are {AUTO}, {', '.join(ENGINES)}")
    if not path.exists():
        raise BadInput(f"no such model: {path}")
    kind = RUN_FOLDER if path.is_dir() else path.suffix.lower()
    takers = [each for each, row in ENGINES.items() if kind in row.takes]
    if not takers:
        wanted = sorted({take for row in ENGINES.values() for take in row.takes})
        raise BadInput(f"{path} is no model; give {' or '.join(wanted)}")
    if kind in BUNDLE:  # which of them runs it, only the bundle knows
        target = read_manifest(path).target.kind
        takers = [each for each in takers if target in ENGINES[each].bundles]
        if name != AUTO and kind in ENGINES[name].takes and name not in takers:
            raise other_target(path, name, target)
    if name != AUTO and name not in takers:
        raise BadInput(
            f"{path}: engine {name} takes {' or '.join(ENGINES[name].takes)}; "
            f"use --engine {takers[0]}"
        )
    candidates = takers if name == AUTO else [name]
    problems: dict[str, str] = {}
    for each in filter(lambda taker: ENGINES[taker].installed, candidates):
        problem = saturation.problem(path, each)
        if problem is None:
            if problems:
                _warn(f"{problems.popitem()[1]}; {each} takes its place")
            return each
        problems[each] = problem
    if problems:
        first, problem = next(iter(problems.items()))
        if not allow_saturation:
            raise BadInput(f"{problem}; {saturation.CURES}")
        _warn(problem)
        return first
    commands = " or ".join(
        f'pip install "edge-passd[{ENGINES[each].extra}]"' for each in candidates
    )
    raise BadInput(f"{' and '.join(candidates)} not installed: {commands}")


def _warn(line: str) -> None:
    from edge_passd.terminal import complain  # it is slow to import, and seldom needed

    complain(line)


def other_target(path: Path, name: str, target: str) -> BadInput:
    """The error for a bundle, for that kind of target, that the named engine does not run."""
    taker = next(each for each, row in ENGINES.items() if target in row.bundles)
    return BadInput(
        f"{path} is compiled for {target}, engine {name} runs bundles for "
        f"{' and '.join(ENGINES[name].bundles)}; use --engine {taker}"
    )
