"""What `compile` wants of a kind of target: processors or GPUs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

import onnx
from rich.console import Console

from edge_passd.bundle import Manifest
from targets.dump import Dump
from targets.graph import Graph
from targets.table import CPUS

_CPU, _GPU = "targets.cpu:CpuBackend", "targets.gpu.backend:GpuBackend"


@dataclass(frozen=True)
class Made:
    """A bundle to be. manifest: without a parity record. files: by name.

    check: given where the bundle lies, and photos, its parity record, see `targets.gate`; BadInput
    if it computes something else than the model's graph means.
    """

    manifest: Manifest
    files: Mapping[str, bytes]
    check: Callable[[Path, Sequence[Path], Console], Mapping[str, Any]]


class Preset(Protocol):
    """name: of a board. says: what it is, for people."""

    @property
    def name(self) -> str: ...

    @property
    def says(self) -> str: ...


class Backend(Protocol):
    """Makes bundles for one board.

    Constructed as `Backend(target: str, board: str | None, runtime: bool)`; runtime: whether
    bundles carry the runtime libraries that they need. The constructor raises BadInput for a board
    that there is not, or a missing toolchain.
    """

    @property
    def board(self) -> Preset:
        """What bundles are made for."""

    @property
    def precisions(self) -> Mapping[str, Sequence[str]]:
        """By what a model is, "int8" or "fp32": what it can become, by default the first."""

    def assemble(self, model: onnx.ModelProto, graph: Graph, precision: str, dump: Dump) -> Made:
        """Raises BadInput for a graph that its operators do not cover."""


def backend_of(target: str, board: str | None, runtime: bool) -> Backend:
    """target: one of `targets.table.TARGETS`. Raises BadInput as constructors of `Backend` do."""
    module, _, name = (_CPU if target in CPUS else _GPU).partition(":")
    return cast(Backend, getattr(import_module(module), name)(target, board, runtime))
