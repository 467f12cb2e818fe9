"""From a graph to kernels: one for each step, and where everything lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from targets.gpu.arithmetic import Arithmetic
from targets.gpu.codegen import kernels_source
from targets.gpu.kernel import Kernel, Memory, blocks_for, module_of
from targets.gpu.operators import attend, convolution, depthwise, separable, stem
from targets.gpu.operators.core import Tile
from targets.gpu.operators.product import pixels_of
from targets.gpu.steps import Convolutions, Depthwise, Separable, Stem, Step, fused, steps_of
from targets.graph import Graph
from targets.plan import Constants, Workspace, plan_constants, plan_workspace

# Tiles, with how well each uses what it reads, a guess. All fit into the 48 KB of shared memory
# that every GPU has for a block, and twice into what a multiprocessor has.
EFFICIENCY = {
    Tile(128, 64, 64, 3): 1.0,
    Tile(64, 64, 64, 4): 0.9,
    Tile(64, 32, 128, 3): 0.75,
    Tile(32, 32, 128, 4): 0.6,
}
TILES = tuple(EFFICIENCY)
RESIDENT = 2  # blocks that a multiprocessor has at work
TAKEN = 0.75  # of the places, so that fusing pays: a guess
SEPARABLE = Tile(32, 64, 64, 3)


@dataclass(frozen=True)
class Schedule:
    """What the kernels are made for. family: one of `targets.gpu.board.FAMILIES`.

    multiprocessors: that should all have work. batch: photos at once.
    """

    arithmetic: Arithmetic
    family: str
    multiprocessors: int
    batch: int = 1


@dataclass(frozen=True)
class Lowered:
    """kernels: in the order in which they are launched, one for each of `steps`.

    source: of all of them, CUDA C++ behind the prelude. sizes: bytes of each step's constants.
    """

    steps: tuple[Step, ...]
    kernels: tuple[Kernel, ...]
    source: str
    constants: Constants
    workspace: Workspace
    sizes: Mapping[str, Mapping[str, int]]


def lower(graph: Graph, schedule: Schedule) -> Lowered:
    """Raises BadInput for a graph that the kernels do not cover, see `steps_of`."""
    steps = fused(steps_of(graph), lambda step: fusing_pays(step, schedule))
    return lower_steps(steps, schedule, graph.size, graph.boxes, graph.classes)


def fusing_pays(step: Separable, schedule: Schedule) -> bool:
    """Where the pixels alone, as each block has all of the outputs, take all of the places that the
    multiprocessors have for blocks, and most of them in the last round too."""
    blocks = blocks_for(pixels_of(step.pointwise), SEPARABLE.rows) * schedule.batch
    places = schedule.multiprocessors * RESIDENT
    taken = blocks / (blocks_for(blocks, places) * places)
    enough = blocks >= places and taken >= TAKEN
    return enough and separable.fits(step, schedule.arithmetic, SEPARABLE)


def lower_steps(
    steps: tuple[Step, ...], schedule: Schedule, size: int, boxes: int, classes: int
) -> Lowered:
    """size: side of the image, pixels. boxes, classes: of the outputs; as in `Graph`."""
    arithmetic = schedule.arithmetic
    arrays = {step.name: _constants(step, schedule) for step in steps}
    constants = plan_constants(
        {(name, key): array for name, each in arrays.items() for key, array in each.items()}
    )
    workspace = plan_workspace(
        [(*step.inputs, *step.outputs) for step in steps], arithmetic.bytes_of
    )
    memory = Memory(
        arithmetic, workspace, constants, 3 * size**2, 4 * boxes, classes * boxes, schedule.batch
    )
    kernels = tuple(_kernel(step, schedule, memory) for step in steps)
    source = kernels_source(module_of({each.name: each for each in kernels}))
    sizes = {
        step: {name: array.nbytes for name, array in each.items()} for step, each in arrays.items()
    }
    return Lowered(steps, kernels, source, constants, workspace, sizes)


def _constants(step: Step, schedule: Schedule) -> Mapping[str, np.ndarray]:
    if isinstance(step, Stem):
        return stem.constants(step, schedule.arithmetic)
    if isinstance(step, Depthwise):
        return depthwise.constants_of(step.convolution, schedule.arithmetic)
    if isinstance(step, Separable):
        return separable.constants(step, schedule.arithmetic, SEPARABLE)
    if isinstance(step, Convolutions):
        return convolution.constants(step, schedule.arithmetic, tile_of(step, schedule))
    return attend.constants(step)


def _kernel(step: Step, schedule: Schedule, memory: Memory) -> Kernel:
    if isinstance(step, Stem):
        return stem.stem(step, memory)
    if isinstance(step, Depthwise):
        channels = schedule.arithmetic.pitch(step.convolution.output.channels)
        pixels = depthwise.pixels_of(step.convolution, channels, schedule.multiprocessors)
        return depthwise.depthwise(step, memory, pixels)
    if isinstance(step, Separable):
        return separable.separable(step, memory, SEPARABLE, schedule.family)
    if isinstance(step, Convolutions):
        tile = tile_of(step, schedule)
        return convolution.convolution(step, memory, tile, schedule.family)
    return attend.attend(step, memory)


def tile_of(step: Convolutions, schedule: Schedule) -> Tile:
    """The tile with which the multiprocessors are done first, by a rough count of their work."""
    outputs = schedule.arithmetic.pitch(step.first.output.channels)
    places = schedule.multiprocessors * RESIDENT

    def cost(tile: Tile) -> float:
        rows = sum(blocks_for(pixels_of(each.convolution), tile.rows) for each in step.members)
        blocks = rows * blocks_for(outputs, tile.columns) * schedule.batch
        return blocks_for(blocks, places) * tile.rows * tile.columns / EFFICIENCY[tile]

    return min(EFFICIENCY, key=cost)
