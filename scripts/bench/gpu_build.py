"""Everything that a measurement on a GPU needs, made where none is: see `gpu_folder`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import onnx

from bench.gpu_folder import (
    Index,
    Variant,
    Written,
    answers_name,
    sampled,
    weights_name,
    write_arrays,
    write_index,
)
from bench.gpu_models import SHIPPED, base_model, half_weights, like, onnx_of
from bench.models import photo_crops
from edge_passd.bundle import write_bundle
from edge_passd.photo import SUFFIXES, read_photo
from edge_passd.preprocess import to_input
from targets.compile import lowered_graph
from targets.cuda import choose_board
from targets.gpu.arithmetic import ARITHMETIC, SHIFT
from targets.gpu.assemble import Assembled, assemble
from targets.gpu.steps import Heads, Step
from targets.graph import Tensor
from targets.reference import Reference

FEW = 1  # photo is enough where the weights are random
_ROUNDING = ("Clip", "Relu", "QuantizeLinear")  # nodes that are one operator with the one before


@dataclass(frozen=True)
class BuildOptions:
    """float_model: .onnx or run folder, or None for random weights. photos: a folder, or None.

    boards: the first is the one that peers are compared on; for the others there are models with
    the first number of classes, for single photos. most_photos: that answers are kept of.
    """

    folder: Path
    float_model: Path | None
    photos: Path | None
    boards: tuple[str, ...]
    classes: tuple[int, ...]
    precisions: tuple[str, ...]
    batches: tuple[int, ...]
    size: int
    most_photos: int


def build(options: BuildOptions) -> Iterator[str]:
    """Write the folder, `bench.json` last; says what it has done as it goes.

    Raises BadInput for a model or board that cannot be compiled for.
    """
    options.folder.mkdir(parents=True, exist_ok=True)
    images = _photos(options)
    base = base_model(options.float_model, options.classes[0], options.size)
    variants: list[Variant] = []
    for classes in options.classes:
        weights = half_weights(like(base, classes, options.size))
        write_arrays(options.folder / weights_name(classes), weights)
        for kind in dict.fromkeys(_kind(each) for each in options.precisions):
            trained = options.float_model is not None and classes == len(base.config.classes) + 1
            if kind == "int8":
                trained = (classes, options.size) == SHIPPED
            source = _Source(onnx_of(base, classes, kind, options.size), images, trained)
            source.write_answers(options.folder / answers_name(classes, kind))
            yield f"C = {classes}, {kind}: answers for {len(images)} photos"
            for case in _cases(options, classes, kind):
                variants.append(source.compiled(*case, options.folder))
                yield variants[-1].name
    names = tuple(f"photo{number}.png" for number in range(len(images)))
    index = Index(date.today().isoformat(), options.size, options.boards[0], names, tuple(variants))
    write_index(options.folder, index)


def _kind(precision: str) -> str:
    """Of the model that is compiled to that precision."""
    return "int8" if precision == "int8" else "fp32"


def _cases(options: BuildOptions, classes: int, kind: str) -> Iterator[tuple[str, str, int]]:
    """Board, precision and batch; float32 and the other boards for one number of classes only."""
    first = classes == options.classes[0]
    precisions = [
        each for each in options.precisions if _kind(each) == kind and (first or each != "fp32")
    ]
    yield from product(options.boards[:1], precisions, options.batches)
    if first:
        yield from product(options.boards[1:], precisions, options.batches[:1])


def _photos(options: BuildOptions) -> list[np.ndarray]:
    """(1, 3, S, S) each; written as photos of the input's size, which nothing resizes again."""
    if options.photos:
        paths = sorted(p for p in options.photos.iterdir() if p.suffix.lower() in SUFFIXES)
        pictures = [read_photo(path) for path in paths[: options.most_photos]]
    else:
        pictures = photo_crops()
    inputs = []
    for number, picture in enumerate(pictures):
        tensor, _ = to_input(picture, options.size, "stretch")
        pixels = np.ascontiguousarray(tensor[0].transpose(1, 2, 0)[..., ::-1].astype(np.uint8))
        cv2.imwrite(str(options.folder / f"photo{number}.png"), pixels)
        inputs.append(tensor)
    return inputs


class _Source:
    """An exported model, and what it computes for the photos."""

    def __init__(self, model: onnx.ModelProto, images: Sequence[np.ndarray], trained: bool) -> None:
        self.model, self.images, self.trained = model, images, trained
        self.graph = lowered_graph(model, "the model to measure")
        self.reference = Reference(model)
        self.values: dict[int, Mapping[str, np.ndarray]] = {}

    def write_answers(self, path: Path) -> None:
        photos = self.images if self.trained else self.images[:FEW]
        answers = [self.reference.run(image) for image in photos]
        boxes, scores = (np.concatenate(each) for each in zip(*answers, strict=True))
        write_arrays(path, {"boxes": boxes, "scores": scores})

    def compiled(self, board: str, precision: str, batch: int, folder: Path) -> Variant:
        """Written to the folder, with samples of what its operators must write."""
        assembled = assemble(self.model, self.graph, choose_board(board), precision, batch)
        steps = assembled.lowered.steps
        tensors = [(i, tensor) for i, step in enumerate(steps) for tensor in step.outputs]
        photo = (batch - 1) % len(self.images)
        variant = Variant(
            self.graph.classes, precision, batch, board, _attend(steps),
            tuple(_written(i, tensor, assembled, precision) for i, tensor in tensors),
            self.trained, photo,
        )  # fmt: skip
        samples: dict[str, np.ndarray] = {}
        for number, (_, tensor) in enumerate(tensors):
            wanted = self._stored(photo, tensor).reshape(-1)
            samples[f"values{number}"] = wanted[sampled(wanted.size)]
        write_arrays(folder / variant.samples, samples)
        write_bundle(folder / variant.bundle, assembled.manifest, assembled.files)
        return variant

    def _stored(self, photo: int, tensor: Tensor) -> np.ndarray:
        """(H, W, C), int8 as it is stored or float32."""
        if photo not in self.values:
            self.values[photo] = self.reference.tensors(self.images[photo])
        value = self.values[photo][self._name(tensor.name)][0].transpose(1, 2, 0)
        if tensor.grid is None:
            return value.astype(np.float32)
        return (value.astype(np.int16) - SHIFT).astype(np.int8)

    def _name(self, name: str) -> str:
        """In the graph, of what a layer's output is after it is cut and rounded."""
        takers = [node for node in self.model.graph.node if name in node.input]
        if len(takers) == 1 and takers[0].op_type in _ROUNDING:
            return self._name(takers[0].output[0])
        return name


def _attend(steps: Sequence[Step]) -> tuple[int, ...]:
    """The numbers of the heads' steps and of those that project for them."""
    heads = [step for step in steps if isinstance(step, Heads)]
    projected = {level.projected for step in heads for level in step.levels}
    return tuple(
        i for i, step in enumerate(steps) if step in heads or projected & {*step.outputs}
    )  # fmt: skip


def _written(number: int, tensor: Tensor, assembled: Assembled, precision: str) -> Written:
    arithmetic, workspace = ARITHMETIC[precision], assembled.lowered.workspace
    return Written(
        number, workspace.offsets[tensor], tensor.height, tensor.width, tensor.channels,
        arithmetic.pitch(tensor.channels), arithmetic.stored.name,
    )  # fmt: skip
