"""Runs a model in PyTorch behind the same door as every other engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from edge_passd.engines.base import check_image
from edge_passd.model_info import ModelInfo
from quant.model import PASSD
from quant.run_folder import load_run


class TorchEngine:
    """A run folder's best weights in float32. See `edge_passd.engines.base`."""

    name = "torch"

    def __init__(self, path: Path, threads: int | None = None) -> None:
        if threads:
            torch.set_num_threads(threads)
        model, figures = load_run(path)
        self._set(model, figures)

    @classmethod
    def of(cls, model: PASSD) -> TorchEngine:
        """An engine for a model in memory."""
        engine = cls.__new__(cls)
        engine._set(model, {})
        return engine

    def _set(self, model: PASSD, figures: dict[str, Any]) -> None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self.model = model.eval().to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.metadata = model_info(model, figures).to_json()

    @torch.inference_mode()
    def run(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """image: (1, 3, S, S) float32 RGB 0-255; boxes (1, N, 4), scores (1, N, C) float32."""
        check_image(image, self.model.config.input_size)
        pixels = torch.from_numpy(image).to(self.model.device)
        boxes, scores = self.model.detections(pixels.contiguous(memory_format=torch.channels_last))
        return boxes.cpu().numpy(), scores.cpu().numpy()


def model_info(model: PASSD, training: dict[str, Any], precision: str | None = None) -> ModelInfo:
    """What the model's file will say about itself.

    training: free-form provenance. precision: of the weights; None: as the model computes.
    """
    config = model.config
    if precision is None:
        precision = "fp32" if model.scheme is None else "int8"
    return ModelInfo(
        name=f"mobilenet-passd-{config.input_size}",
        classes=config.classes,
        input_size=config.input_size,
        precision=precision,
        training=training,
    )
