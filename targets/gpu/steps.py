"""What one launch computes: operators of the graph, fused or side by side.

At batch 1 a launch costs as much as a small operator. So the image goes into the stem, a lateral
convolution adds the coarser map as it writes, and convolutions of one shape that do not wait for
each other, as those of the pyramid's levels, go together; so do all levels' boxes and scores.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import ClassVar, TypeAlias

import numpy as np

from edge_passd.errors import BadInput
from targets.graph import Attend, Convolution, Graph, Head, Image, Layer, Merge, Tensor


class _OfOne:
    """What steps of one convolution share. other_bytes: of what is no tensor, read or written."""

    convolution: Convolution

    @property
    def other_bytes(self) -> int:
        return 0

    @property
    def name(self) -> str:
        return self.convolution.name

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        return (self.convolution.output,)

    @property
    def macs(self) -> int:
        return self.convolution.macs


@dataclass(frozen=True, eq=False)
class Stem(_OfOne):
    """The first convolution, from the image's planes."""

    image: Image
    convolution: Convolution

    kind: ClassVar[str] = "stem 3x3, stride 2"
    inputs: ClassVar[tuple[Tensor, ...]] = ()

    @property
    def other_bytes(self) -> int:
        return 3 * 4 * self.image.output.height * self.image.output.width


@dataclass(frozen=True, eq=False)
class Depthwise(_OfOne):
    """A 3x3 depthwise convolution."""

    convolution: Convolution

    @property
    def kind(self) -> str:
        return f"depthwise 3x3, stride {self.convolution.stride}"

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        return self.convolution.inputs


@dataclass(frozen=True, eq=False)
class Separable:
    """A depthwise convolution and the 1x1 convolution that alone reads it."""

    depthwise: Convolution
    pointwise: Convolution

    @property
    def name(self) -> str:
        return self.pointwise.name

    @property
    def kind(self) -> str:
        return f"depthwise 3x3, stride {self.depthwise.stride}, and convolution 1x1"

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        return self.depthwise.inputs

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        return (self.pointwise.output,)

    @property
    def macs(self) -> int:
        return self.depthwise.macs + self.pointwise.macs

    other_bytes: ClassVar[int] = 0


@dataclass(frozen=True, eq=False)
class Member:
    """A convolution, and the sum that its output goes into, if any."""

    convolution: Convolution
    merge: Merge | None = None

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        return (*self.convolution.inputs, *((self.merge.top,) if self.merge else ()))

    @property
    def output(self) -> Tensor:
        return self.merge.output if self.merge else self.convolution.output


@dataclass(frozen=True, eq=False)
class Convolutions:
    """1x1 or 3x3 convolutions of one shape but for the maps' sizes; one member if it merges."""

    members: tuple[Member, ...]

    @property
    def first(self) -> Convolution:
        return self.members[0].convolution

    @property
    def name(self) -> str:
        return self.first.name

    @property
    def kind(self) -> str:
        first = self.first
        kind = f"convolution {first.kernel}x{first.kernel}, stride {first.stride}"
        if self.members[0].merge:
            return f"{kind}, upsample and add"
        return f"{kind}, {len(self.members)} maps" if len(self.members) > 1 else kind

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        return tuple(tensor for member in self.members for tensor in member.inputs)

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        return tuple(member.output for member in self.members)

    @property
    def macs(self) -> int:
        return sum(member.convolution.macs for member in self.members)

    other_bytes: ClassVar[int] = 0


@dataclass(frozen=True, eq=False)
class Heads:
    """Boxes and scores of all levels, which share one head."""

    levels: tuple[Attend, ...]

    @property
    def name(self) -> str:
        return "attend"

    @property
    def kind(self) -> str:
        return f"propose and attend, {len(self.levels)} maps"

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        return tuple(tensor for level in self.levels for tensor in level.inputs)

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        return ()

    @property
    def macs(self) -> int:
        return 0

    @property
    def other_bytes(self) -> int:
        return sum(level.boxes * (level.head.classes + 4) * 4 for level in self.levels)


Step: TypeAlias = "Stem | Depthwise | Separable | Convolutions | Heads"


def steps_of(graph: Graph) -> tuple[Step, ...]:
    """In an order in which they can run.

    Raises BadInput, naming the layer, for a graph that is put together in another way.
    """
    image, stem, *layers = graph.layers
    if not (
        isinstance(image, Image)
        and isinstance(stem, Convolution)
        and stem.input is image.output
        and stem.weights.shape[1:] == (3, 3, 3)
    ):
        raise BadInput(f"{stem.name}: the cuda target takes models that begin with a 3x3 stem")
    return _together([Stem(image, stem), *_single(layers)])


def fused(steps: Sequence[Step], pays: Callable[[Separable], bool]) -> tuple[Step, ...]:
    """Depthwise convolutions within the 1x1 convolutions that alone read them, where that pays."""
    readers = Counter(tensor for step in steps for tensor in step.inputs)
    result: list[Step] = []
    for step in steps:
        before = result[-1] if result else None
        both = _separable(before, step) if before else None
        if both and readers[both.pointwise.input] == 1 and pays(both):
            result[-1] = both
        else:
            result.append(step)
    return tuple(result)


def _separable(before: Step, step: Step) -> Separable | None:
    """Both as one, if they go together."""
    if not isinstance(before, Depthwise) or not isinstance(step, Convolutions):
        return None
    layer = step.first
    if len(step.members) > 1 or step.members[0].merge or (layer.kernel, layer.stride) != (1, 1):
        return None
    reads = layer.input is before.convolution.output
    return Separable(before.convolution, layer) if reads else None


def _single(layers: Sequence[Layer]) -> list[Step]:
    """Every layer as a step, sums within the convolutions before them."""
    laterals = {each.lateral: each for each in layers if isinstance(each, Merge)}
    pending: dict[Tensor, Convolution] = {}
    steps: list[Step] = []
    for layer in layers:
        if isinstance(layer, Attend):
            steps.append(Heads((layer,)))
        elif isinstance(layer, Merge):
            if layer.lateral not in pending or _uses(layers, layer.lateral) > 1:
                raise BadInput(f"{layer.name}: the cuda target adds only to a convolution's output")
            steps.append(Convolutions((Member(pending.pop(layer.lateral), layer),)))
        elif isinstance(layer, Image):
            raise BadInput(f"{layer.name}: a second image")
        elif layer.depthwise:
            steps.append(Depthwise(layer))
        elif layer.output in laterals:
            pending[layer.output] = layer
        else:
            steps.append(Convolutions((Member(layer),)))
    return steps


def _uses(layers: Sequence[Layer], tensor: Tensor) -> int:
    return sum(tensor in layer.inputs for layer in layers)


def _together(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Steps of one shape that do not wait for each other as one, where the last of them stood."""
    groups: list[list[Step]] = []
    for step in steps:
        for group in groups:
            if _alike(group[0], step) and not _waits(step, group, groups):
                groups.remove(group)
                groups.append([*group, step])
                break
        else:
            groups.append([step])
    return tuple(_joined(group) for group in groups)


def _alike(a: Step, b: Step) -> bool:
    if isinstance(a, Heads) and isinstance(b, Heads):
        return _same(a.levels[0].head, b.levels[0].head)
    if not isinstance(a, Convolutions) or not isinstance(b, Convolutions):
        return False
    if a.members[0].merge or b.members[0].merge:
        return False
    return _shape(a.first) == _shape(b.first) and a.first.input is not b.first.input


def _same(a: Head, b: Head) -> bool:
    return all(np.array_equal(getattr(a, each.name), getattr(b, each.name)) for each in fields(a))


def _shape(layer: Convolution) -> tuple[object, ...]:
    return (layer.weights.shape, layer.stride, layer.limits, layer.multipliers is None)


def _waits(step: Step, group: Sequence[Step], groups: Sequence[Sequence[Step]]) -> bool:
    """Whether `step` needs, by way of others or not, an output of `group`.

    Moved behind the others, `group` must not be needed by any of those either.
    """
    late = {tensor for each in group for tensor in each.outputs}
    for other in groups[groups.index(group) + 1 :]:
        for each in other:
            if late & {*each.inputs}:
                return True
    return bool(late & {*step.inputs})


def _joined(group: Sequence[Step]) -> Step:
    first = group[0]
    if isinstance(first, Convolutions):
        members = (each.members for each in group if isinstance(each, Convolutions))
        return Convolutions(tuple(member for each in members for member in each))
    if isinstance(first, Heads):
        levels = (each.levels for each in group if isinstance(each, Heads))
        return Heads(tuple(level for each in levels for level in each))
    return first
