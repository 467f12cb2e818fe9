"""Finds the tile sizes of a board's processor and writes them into targets/tiles/.

\b
    scripts/tune.py edge_passd/models/animals5.onnx --board native
    scripts/tune.py animals-float.onnx --board native         # fp32 has tiles of its own
    scripts/tune.py edge_passd/models/animals5.onnx --board raspberry-pi-5

The whole model is compiled for each candidate; then every operator keeps the tile with which it
took least. On a board of this machine's kind that is time, measured here in turn with the tiles so
far, on one thread, and on all cores for what threads share: run it on the board itself, where
`pip install "edge-passd[targets]"` brings the compiler. For another ARM board it is executed
instructions under emulation (scripts/setup_arm): no times, but a sane order where kernels are bound
by what the core can issue.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import onnx
from rich.console import Console
from rich.progress import track

from arm.measure import cost
from edge_passd.bundle import write_bundle
from edge_passd.bundle.machine import this_machine
from edge_passd.engines.tvm import TvmEngine
from targets.assemble import assemble
from targets.board import Board
from targets.compile import lowered_graph, read_model
from targets.graph import Convolution, Graph
from targets.passes.read_onnx import integer_share
from targets.runtime_libraries import runtime_libraries
from targets.table import board_named
from targets.tiles import Tile, Tiles, save_tiles, shape_of, tiles_of
from targets.toolchain import find_linker

ROWS = (3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28)
WORTH = 0.98  # of the cost so far: a smaller gain may be noise

Trial = Callable[[Tile], Tile]


@click.command(help=__doc__)
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--board", default="native", show_default=True)
@click.option("--repeats", default=40, show_default=True, help="Timings of every operator.")
def main(model: Path, board: str, repeats: int) -> None:
    console = Console()
    tuner = Tuner(board_named(board), read_model(model), str(model), repeats)
    phases = [
        ("tiles", 1, blocks(tuner.registers)),
    ]
    if tuner.here:
        phases.append(("threads", len(os.sched_getaffinity(0)), shares()))
    for phase, threads, trials in phases:
        steps = track(trials, f"{tuner.board.cpu}, {tuner.precision}: {phase}", console=console)
        tuner.improve(steps, threads)
    path = save_tiles(tuner.board, tuner.precision, tuner.best)
    console.print(f"{path}: {len(tuner.best)} shapes in {tuner.precision}")


def blocks(registers: int) -> list[Trial]:
    """Blocks of accumulators that nearly fill the registers, directly and by Winograd."""
    return [
        lambda tile, r=rows, v=vectors, w=winograd: replace(tile, rows=r, vectors=v, winograd=w)
        for winograd in (False, True)
        for vectors in (1, 2, 3, 4, 5)
        for rows in ROWS
        if registers // 2 <= rows * vectors < registers - vectors
    ]


def shares() -> list[Trial]:
    """How threads share the work."""
    return [
        lambda tile: replace(tile, by_output=not tile.by_output),
        *(lambda tile, c=chunks: replace(tile, chunks=c) for chunks in (8, 48)),
    ]


class Tuner:
    """best: the tile of each shape so far."""

    def __init__(self, board: Board, model: onnx.ModelProto, where: str, repeats: int) -> None:
        self.board, self._model, self._repeats = board, model, repeats
        self.here = board.machine == this_machine().machine
        self._graph: Graph = lowered_graph(model, where)
        self.precision = "int8" if integer_share(self._graph) == 1 else "fp32"
        self.registers = board.arithmetic_of(self.precision).registers
        self._linker, self._runtime = find_linker(board.machine), runtime_libraries(board.machine)
        self._layers = {
            i: each for i, each in enumerate(self._graph.layers) if isinstance(each, Convolution)
        }
        known = tiles_of(board, self.precision)
        self.best = {shape_of(each): known.of(each) for each in self._layers.values()}

    def improve(self, trials: Iterable[Trial], threads: int) -> None:
        """For each shape keep the trial that takes least beside the tile so far, if any does."""
        least = dict.fromkeys(self.best, WORTH)
        start = dict(self.best)
        with tempfile.TemporaryDirectory() as folder:
            before = self._write(Path(folder, "before.passd"), start)
            for trial in trials:
                tried = {shape: trial(tile) for shape, tile in start.items()}
                after = self._write(Path(folder, "after.passd"), tried)
                costs = self._costs(threads, before, after)
                for shape in start:
                    of_shape = [i for i, each in self._layers.items() if shape_of(each) == shape]
                    old, new = (each[of_shape].sum() for each in costs)
                    if new < least[shape] * old:
                        self.best[shape], least[shape] = tried[shape], new / old

    def _costs(self, threads: int, *bundles: Path) -> list[np.ndarray]:
        """What each operator takes in each of the bundles."""
        if self.here:
            return self._timed(threads, *bundles)
        return [self._counted(path) for path in bundles]

    def _write(self, path: Path, best: Mapping[str, Tile]) -> Path:
        tiles = Tiles(self.board.arithmetic_of(self.precision), best)
        manifest, files = assemble(
            self._model, self._graph, self.board, self.precision, self._linker, self._runtime,
            tiles=tiles,
        )  # fmt: skip
        write_bundle(path, manifest, files)
        return path

    def _timed(self, threads: int, *paths: Path) -> list[np.ndarray]:
        """Seconds, the least of the repeats, the bundles in turn."""
        engines = [TvmEngine(path, threads) for path in paths]
        image = np.full((1, 3, self._graph.size, self._graph.size), 100, np.float32)
        rounds = [
            [engine.time_operators(image, 4).min(1) for engine in engines]
            for _ in range(-(-self._repeats // 4))
        ]
        return list(np.min(rounds, axis=0))

    def _counted(self, path: Path) -> np.ndarray:
        """Executed instructions."""
        operators = cost(path, emulated(self.board.features)).operators
        return np.array([each["executed"] for each in operators], float)


def emulated(features: Collection[str]) -> str:
    """The processor of `arm.emulator.CPUS` that has no more than a board's features need."""
    by_feature = {"i8mm": "max", "asimddp": "cortex-a76", "asimd": "cortex-a72"}
    return next(cpu for feature, cpu in by_feature.items() if feature in features)


if __name__ == "__main__":
    main()
