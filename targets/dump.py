"""`compile --dump`: what the compiler thinks, as text files."""

from __future__ import annotations

from pathlib import Path

import tvm

from edge_passd.files import write_text
from targets.graph import Graph, Layer, Tensor, output_of
from targets.lower import Lowered
from targets.plan import Constants, Workspace


class Dump:
    """Writes into `folder`; without one, nowhere."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def graph(self, number: int, name: str, graph: Graph) -> None:
        """The graph after pass number `number`."""
        self.write(f"{number}-{name}.txt", "\n".join(map(describe, graph.layers)))

    def __bool__(self) -> bool:
        return self._folder is not None

    def lowered(self, lowered: Lowered, compiled: tvm.runtime.Module) -> None:
        """TIR, assembly, and where every tensor and constant lies."""
        self.write("module.py", lowered.module.script())
        self.write("assembly.s", compiled.inspect_source("asm"))
        self.memory(lowered.workspace, lowered.constants)

    def memory(self, workspace: Workspace, constants: Constants) -> None:
        """Where every tensor and constant lies."""
        lines = [f"workspace: {workspace.size} bytes"]
        for tensor, offset in workspace.offsets.items():
            lines.append(f"  {offset:>10} {_shape(tensor)}")
        lines.append(f"constants: {len(constants.content)} bytes")
        for (layer, name), offset in constants.offsets.items():
            lines.append(f"  {offset:>10} {layer}.{name}")
        self.write("plan.txt", "\n".join(lines))

    def write(self, name: str, text: str) -> None:
        """A file of its own."""
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
