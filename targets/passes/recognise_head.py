"""The head, recognised by what it computes.

Between the last convolutions and the outputs an exporter writes eighty small nodes,
others with every version. Their meaning is fixed by a few numbers, which show in the graph's own
answers to a few inputs; then formula and graph must agree on random ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx

from edge_passd.boxes import MAX_SIZE_OFFSET
from edge_passd.engines.base import OUTPUTS
from edge_passd.errors import BadInput
from edge_passd.offset_sample import NAME as OFFSET_SAMPLE
from edge_passd.offset_sample import TAPS
from targets.graph import Attend, Head, Tensor
from targets.reference import evaluate

TOLERANCE = 1e-6  # relative to 1 cell and to scores; the graph is evaluated in float64
_FAR = 1000.0


@np.errstate(all="ignore")  # what is not finite is not what it is compared with
def recognise_head(
    nodes: Sequence[onnx.NodeProto],
    constants: Mapping[str, np.ndarray],
    maps: Mapping[str, Tensor],
    size: int,
    where: str,
) -> list[Attend]:
    """The levels of the head, finest first.

    maps: where the convolutional part of the graph ends. size: of the input, pixels. Raises
    BadInput that names a node when the graph computes something else.
    """
    sampling = [node for node in nodes if node.op_type == OFFSET_SAMPLE]
    for node in sampling:
        if node.input[0] not in maps:
            raise _other(node, where, "samples something that is no convolution's output")
    sampling.sort(key=lambda node: -maps[node.input[0]].height)
    proposals = [_Proposal(node, nodes, constants, maps, where) for node in sampling]
    first = proposals[0]
    for each in proposals[1:]:
        if not each.same(first):
            raise _other(each.node, where, "has other default boxes than the finest level")
    attend = _Stage(nodes, constants, proposals, size, where)
    attend.check()
    levels, box = [], 0
    for i, each in enumerate(proposals):
        head = Head(
            tuple(each.sides), each.clipped, tuple(each.scales), tuple(attend.scales),
            attend.bias, attend.classes,
        )  # fmt: skip
        stride = size / each.height
        level = Attend(
            f"attend_{i}", maps[each.source], maps[each.node.input[0]], head, stride, box
        )
        levels.append(level)
        box += level.boxes
    return levels


class _Proposal:
    """One level's propose stage: offsets (1, 4 A, H, W) to boxes (1, A, 4, H, W) in cells."""

    def __init__(
        self, node: onnx.NodeProto, nodes: Sequence[onnx.NodeProto],
        constants: Mapping[str, np.ndarray], maps: Mapping[str, Tensor], where: str,
    ) -> None:  # fmt: skip
        self.node, self._nodes, self._constants = node, nodes, constants
        self.boxes = node.input[1]
        sources = _sources(nodes, self.boxes, maps)
        if len(sources) != 1:
            raise _other(node, where, f"takes boxes from {len(sources)} convolutions")
        (self.source,) = sources
        tensor = maps[self.source]
        self.height, self.width = tensor.height, tensor.width
        self.anchors = tensor.channels // 4
        attributes = {a.name: a.i for a in node.attribute}
        self.outputs = attributes.get("outputs", 0)
        projected = maps[node.input[0]].channels
        if (attributes.get("anchors"), projected) != (
            self.anchors,
            self.anchors * TAPS * self.outputs,
        ):
            raise _other(node, where, "has attributes that do not fit what it is given")
        shape = (1, tensor.channels, self.height, self.width)
        rest, unit, far = (self.run(np.full(shape, v)) for v in (0.0, 1.0, _FAR))
        self.sides = rest[0, :, 2, 0, 0]
        # Corner cell, dx dy dw dh order; boxes are cy cx h w.
        moved = (unit - rest)[0, 0, [1, 0], 0, 0]
        self.clipped = bool(np.all(np.abs((far - rest)[0, 0, :2]) < 1))
        centre = np.arctanh(2 * moved) if self.clipped else moved / self.sides[0]
        grown = np.log(unit[0, 0, [3, 2], 0, 0] / rest[0, 0, [3, 2], 0, 0])
        self.scales = [*centre, *grown]
        # So large that exponents and tanh reach their limits, whatever the scales.
        offsets = np.random.default_rng(0).normal(0, 8, (1, self.anchors, 4, *shape[2:]))
        offsets = (offsets / np.reshape(self.scales, (4, 1, 1))).reshape(shape)
        error = np.abs(self.run(offsets) - self.formula(offsets)).max()
        if not error < TOLERANCE * max(1.0, self.formula(offsets).max()):
            raise _other(node, where, "takes boxes that are not those of equations 1 and 2")

    def run(self, offsets: np.ndarray) -> np.ndarray:
        return evaluate(self._nodes, {**self._constants, self.source: offsets}, [self.boxes])[
            self.boxes
        ]

    def formula(self, offsets: np.ndarray) -> np.ndarray:
        d = offsets.reshape(1, self.anchors, 4, self.height, self.width)
        d = d * np.reshape(self.scales, (4, 1, 1))
        sides = self.sides.reshape(1, -1, 1, 1, 1)
        shift = np.tanh(d[:, :, 1::-1]) / 2 if self.clipped else d[:, :, 1::-1] * sides
        grown = np.exp(np.clip(d[:, :, :1:-1], -MAX_SIZE_OFFSET, MAX_SIZE_OFFSET))
        return np.concatenate([np.indices((self.height, self.width)) + shift, sides * grown], 2)

    def same(self, other: _Proposal) -> bool:
        mine, theirs = ([*p.sides, *p.scales, p.clipped, p.outputs] for p in (self, other))
        return len(mine) == len(theirs) and np.allclose(mine, theirs)


class _Stage:
    """The attend stage behind the sampling, of all levels: samples and boxes to the outputs."""

    def __init__(
        self, nodes: Sequence[onnx.NodeProto], constants: Mapping[str, np.ndarray],
        proposals: Sequence[_Proposal], size: int, where: str,
    ) -> None:  # fmt: skip
        self._nodes, self._constants, self._where = nodes, constants, where
        self._proposals, self._size = proposals, size
        self.anchors, self.outputs = proposals[0].anchors, proposals[0].outputs
        self.classes = self.outputs - 4
        # At zero the bias alone speaks, at one the scales do; the first cell says both.
        boxes = [p.formula(np.zeros((1, 4 * p.anchors, p.height, p.width))) for p in proposals]
        rest, unit = (
            self._first_cell(boxes[0], *self.run(boxes, [np.full(s, v) for s in self._shapes]))
            for v in (0.0, 1.0)
        )
        self.scales = (unit[1] - rest[1])[0]
        self.bias = np.concatenate([np.log(rest[0]), rest[1] / self.scales], 1)

    @property
    def _shapes(self) -> list[tuple[int, ...]]:
        return [(1, self.anchors, self.outputs, p.height, p.width) for p in self._proposals]

    def run(
        self, boxes: Sequence[np.ndarray], samples: Sequence[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """The graph's answer: corners (N, 4) in pixels, scores (N, C)."""
        feeds = dict(self._constants)
        for proposal, box, sample in zip(self._proposals, boxes, samples, strict=True):
            feeds[proposal.boxes], feeds[proposal.node.output[0]] = box, sample
        corners, scores = (evaluate(self._nodes, feeds, OUTPUTS)[name][0] for name in OUTPUTS)
        return corners, scores

    def _first_cell(
        self, boxes: np.ndarray, corners: np.ndarray, scores: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Scores (A, C) of the finest level's first cell, and the offsets (A, 4) its boxes show."""
        cells = corners[: self.anchors] * self._proposals[0].height / self._size
        sides, centres = cells[:, 2:] - cells[:, :2], (cells[:, 2:] + cells[:, :2]) / 2 - 0.5
        yx, hw = boxes[0, :, :2, 0, 0], boxes[0, :, 2:, 0, 0]
        offsets = [(centres - yx[:, ::-1]) / hw[:, ::-1], np.log(sides / hw[:, ::-1])]
        return scores[: self.anchors], np.concatenate(offsets, 1)

    def formula(
        self, boxes: Sequence[np.ndarray], samples: Sequence[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """What our operator computes; as `run`."""
        corners, scores = [], []
        for proposal, box, sample in zip(self._proposals, boxes, samples, strict=True):
            values = sample[0].transpose(2, 3, 0, 1) + self.bias
            yx, hw = (box[0].transpose(2, 3, 0, 1)[..., part] for part in np.s_[:2, 2:])
            d = values[..., self.classes :] * self.scales
            centres = yx[..., ::-1] + 0.5 + d[..., :2] * hw[..., ::-1]
            limited = np.clip(d[..., 2:], -MAX_SIZE_OFFSET, MAX_SIZE_OFFSET)
            halves = hw[..., ::-1] * np.exp(limited) / 2
            found = np.concatenate([centres - halves, centres + halves], -1)
            corners.append(found.reshape(-1, 4) * self._size / proposal.height)
            weights = np.exp(values[..., : self.classes])
            scores.append((weights / weights.sum(-1, keepdims=True)).reshape(-1, self.classes))
        return np.concatenate(corners), np.concatenate(scores)

    def check(self) -> None:
        """Raise BadInput unless graph and formula agree on random boxes and samples."""
        random = np.random.default_rng(1)
        boxes = [
            np.concatenate([random.normal(0, 10, shape), random.uniform(0.5, 9, shape)], 2)
            for shape in ((1, self.anchors, 2, p.height, p.width) for p in self._proposals)
        ]
        samples = [random.normal(0, 3, shape) for shape in self._shapes]
        for sample in samples:
            sample[:, :, self.classes :] /= self.scales[:, None, None]
        for name, found, wanted in zip(
            OUTPUTS, self.run(boxes, samples), self.formula(boxes, samples), strict=True
        ):
            limit = TOLERANCE * max(1.0, np.abs(wanted).max())
            if found.shape != wanted.shape or not np.abs(found - wanted).max() < limit:
                maker = next(node for node in self._nodes if name in node.output)
                raise _other(
                    maker, self._where, f"computes other {name} than the propose-attend head"
                )


def _sources(nodes: Sequence[onnx.NodeProto], name: str, maps: Mapping[str, Tensor]) -> set[str]:
    """Those of `maps` that the value `name` depends on."""
    makers = {output: node for node in nodes for output in node.output}
    found, seen, todo = set(), set(), [name]
    while todo:
        each = todo.pop()
        if each in maps:
            found.add(each)
        elif each in makers and each not in seen:
            seen.add(each)
            todo.extend(makers[each].input)
    return found


def _other(node: onnx.NodeProto, where: str, what: str) -> BadInput:
    return BadInput(
        f"{where}: node {node.name or node.output[0]!r} ({node.op_type}) {what}, so it is not "
        "compiled; export the model with this version of edge-passd"
    )
