"""`compile --dump`: what the compiler thinks, as text files."""

from __future__ import annotations

from pathlib import Path

import tvm

from edge_passd.files import write_text
from targets.graph import Graph, Layer, Tensor, output_of
from targets.lower import Lowered


class Dump:
    """Writes into `folder`; without one, nowhere."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def graph(self, number: int, name: str, graph: Graph) -> None:
        """The graph after pass number `number`."""
        self._write(f"{number}-{name}.txt", "\n".join(map(describe, graph.layers)))

    def lowered(self, lowered: Lowered, compiled: tvm.runtime.Module) -> None:
        """TIR, assembly, and where every tensor and constant lies."""
        self._write("module.py", lowered.module.script())
        self._write("assembly.s", compiled.inspect_source("asm"))
        lines = [f"workspace: {lowered.workspace.size} bytes"]
        for tensor, offset in lowered.workspace.offsets.items():
            lines.append(f"  {offset:>10} {_shape(tensor)}")
        lines.append(f"constants: {len(lowered.constants.content)} bytes")
        for (layer, name), offset in lowered.constants.offsets.items():
            lines.append(f"  {offset:>10} {layer}.{name}")
        self._write("plan.txt", "\n".join(lines))

    def _write(self, name: str, text: str) -> None:
        if self._folder is not None:
            write_text(self._folder / name, text + "\n")


def describe(layer: Layer) -> str:
    """A layer in one line."""
    output = output_of(layer)
    into = _shape(output) if output else "boxes, scores"
    inputs = " + ".join(map(_shape, layer.inputs)) or "pixels"
    return f"{type(layer).__name__:12} {layer.name:32} {inputs} -> {into}"


def _shape(tensor: Tensor) -> str:
    grid = "f32" if tensor.grid is None else f"u8 {tensor.grid.scale:g} ({tensor.grid.zero_point})"
    border = " bordered" if tensor.border else ""
    return f"{tensor.name}[{tensor.height}x{tensor.width}x{tensor.channels} {grid}{border}]"
