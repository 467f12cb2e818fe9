"""A whole exported model in numpy, behind the same door as every engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx

from edge_passd.engines.base import INPUT, OUTPUTS, check_image
from edge_passd.errors import BadInput
from edge_passd.model_info import METADATA_KEY
from targets.reference.evaluate import computed, evaluate, needed, result
from targets.reference.operators import as_computed
from targets.reference.steps import steps_of


class Reference:
    """What a model means. An `edge_passd.engines.base.Engine`.

    Floats are computed in float64, from weights as stored. Convolutions and sums of integers are
    computed on integers, as `targets.reference.integers` defines it. Raises BadInput for a graph
    without the input of the contract or with a node outside `targets.reference.operators`.
    """

    name = "reference"

    def __init__(self, model: onnx.ModelProto) -> None:
        properties = {each.key: each.value for each in model.metadata_props}
        self.metadata = properties.get(METADATA_KEY)
        self._size = _input_size(model.graph)
        self._nodes = list(model.graph.node)
        self._steps = steps_of(self._nodes)
        self._constants = {
            each.name: as_computed(onnx.numpy_helper.to_array(each))
            for each in model.graph.initializer
        }

    def run(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """image: (1, 3, S, S) float32 RGB 0-255; boxes (1, N, 4), scores (1, N, C) float32."""
        check_image(image, self._size)
        values = computed(self._steps, {**self._constants, INPUT: image}, OUTPUTS)
        boxes, scores = (values[name].astype(np.float32) for name in OUTPUTS)
        return boxes, scores

    def tensors(self, image: np.ndarray) -> dict[str, np.ndarray]:
        """Every value on the way from the image (1, 3, S, S) to the outputs, by name.

        Floats as float64, integers in their own types. An integer layer has no values inside: what
        is between its uint8 inputs and its uint8 output is not there; `evaluate` computes it.
        """
        check_image(image, self._size)
        values = {**self._constants, INPUT: as_computed(image)}
        todo = needed(self._steps, values, OUTPUTS)
        for step in todo:
            values[step.output] = result(step, values)
        return {name: values[name] for name in (INPUT, *(step.output for step in todo))}

    def evaluate(
        self, feeds: Mapping[str, np.ndarray], outputs: Sequence[str]
    ) -> dict[str, np.ndarray]:
        """The values of `outputs` given those of `feeds`, any tensors of the graph.

        See `targets.reference.evaluate.evaluate`.
        """
        return evaluate(self._nodes, {**self._constants, **feeds}, outputs)


def _input_size(graph: onnx.GraphProto) -> int:
    shapes = {
        each.name: [axis.dim_value for axis in each.type.tensor_type.shape.dim]
        for each in graph.input
    }
    shape = shapes.get(INPUT, [])
    if len(shape) != 4 or shape != [1, 3, shape[3], shape[3]] or not shape[3]:
        raise BadInput(
            f"broken model: it takes {shapes or 'nothing'}, not {INPUT} [1, 3, S, S]; "
            "export it again"
        )
    return shape[3]
