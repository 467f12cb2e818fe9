"""A network on ncnn's CPU path."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edge_passd.errors import BadInput


class NcnnNetwork:
    """files: .param and .bin. outputs: names of the blobs to compute. Raises BadInput if broken."""

    def __init__(
        self, files: Sequence[Path], input_name: str, outputs: Sequence[str], threads: int | None
    ) -> None:
        import ncnn

        self._matrix, self._input, self._outputs = ncnn.Mat, input_name, outputs
        self._network = ncnn.Net()
        if threads:
            self._network.opt.num_threads = threads
        param, weights = files
        if self._network.load_param(str(param)) or self._network.load_model(str(weights)):
            raise BadInput(f"{param}: ncnn cannot load it; copy the peer's files again")

    def run(self, tensor: np.ndarray) -> tuple[np.ndarray, ...]:
        """(3, S, S) float32 to the outputs, as many axes as ncnn gives them."""
        extractor = self._network.create_extractor()
        extractor.input(self._input, self._matrix(tensor))
        # Copies: the matrices live no longer than the extractor.
        return tuple(np.array(extractor.extract(name)[1]) for name in self._outputs)
