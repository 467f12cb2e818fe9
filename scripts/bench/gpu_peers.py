"""The whole model in PyTorch, with the weights of the compiled one, in all its forms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import cycle

import numpy as np
import torch
from torch import Tensor, nn

from bench.gpu_clock import BEFORE_CAPTURE, Run, Timer, captured, device_seconds, wait
from edge_passd.model_info import ModelInfo
from quant.model import PASSD, ModelConfig
from quant.model.folding import fold_norms

DTYPES = {"fp32": torch.float32, "fp16": torch.float16}

EAGER, EAGER_GRAPH = "PyTorch", "PyTorch, CUDA graph"
COMPILED, COMPILED_GRAPH = "torch.compile", "torch.compile, one CUDA graph"
# How a peer is compiled, None for not at all, and whether its launches are captured as one graph
# here: torch.compile's own graphs are replayed by Python code that takes its time.
PEERS: dict[str, tuple[str | None, bool]] = {
    EAGER: (None, False),
    EAGER_GRAPH: (None, True),
    COMPILED: ("max-autotune", False),
    COMPILED_GRAPH: ("max-autotune-no-cudagraphs", True),
}


class Detections(nn.Module):
    """Photos (B, 3, S, S) to boxes (B, N, 4) and scores (B, N, C), as the compiled model."""

    def __init__(self, model: PASSD) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return self.model.detections(images)


class _Nothing(nn.Module):
    """In place of the objectness, which only training needs: no channels."""

    def forward(self, features: Tensor) -> Tensor:
        return features[:, :0]


def torch_model(
    info: ModelInfo, weights: Mapping[str, np.ndarray], precision: str, device: str
) -> Detections:
    """Norms folded, channels last. weights: as `gpu_models.half_weights` makes them.

    In float16 boxes are still computed in float32: float16 has steps of a quarter of a pixel.
    """
    model = fold_norms(PASSD(ModelConfig(info.classes, info.input_size)))
    assert model.propose is not None
    model.propose.objectness = _Nothing()  # type: ignore[assignment]
    model.load_state_dict({name: _tensor(values) for name, values in weights.items()})
    model = model.to(device, DTYPES[precision], memory_format=torch.channels_last)  # type: ignore[call-overload]
    model.propose_scale, model.attend_scale = (
        scale.float() for scale in (model.propose_scale, model.attend_scale)
    )
    return Detections(model.eval())


def _tensor(values: np.ndarray) -> Tensor:
    tensor = torch.from_numpy(values).float()
    return tensor.permute(0, 3, 1, 2) if tensor.ndim == 4 else tensor


def compiled(module: nn.Module, mode: str, device: str) -> nn.Module:
    """torch.compile; on a processor only its front end, which is enough to see that it works."""
    if device == "cpu":
        return torch.compile(module, backend="eager", dynamic=False)  # type: ignore[return-value]
    return torch.compile(module, mode=mode, dynamic=False)  # type: ignore[return-value]


@dataclass
class Peer:
    """A module with its input and outputs at fixed places. run: one inference on the device."""

    device: str
    image: Tensor
    pinned: Tensor
    outputs: Callable[[], tuple[Tensor, ...]]
    run: Run

    def timer(self, images: list[np.ndarray]) -> Timer:
        """Of inference alone, its input on the device already; each turn has another input."""
        turns = cycle(images)

        def seconds(runs: int) -> np.ndarray:
            self.image.copy_(torch.from_numpy(next(turns)))
            return device_seconds(self.device, self.run, runs)

        return seconds

    def infer(self, image: np.ndarray) -> list[np.ndarray]:
        """From an array to arrays, by way of memory that the GPU copies from and to by itself."""
        self.pinned.copy_(torch.from_numpy(image))
        self.image.copy_(self.pinned, non_blocking=True)
        self.run()
        results = [
            torch.empty_like(each, device="cpu", pin_memory=self.device != "cpu")
            for each in self.outputs()
        ]
        for result, each in zip(results, self.outputs(), strict=True):
            result.copy_(each, non_blocking=True)
        wait(self.device)
        return [each.numpy() for each in results]


def peer(module: nn.Module, name: str, shape: tuple[int, ...], device: str) -> Peer:
    """name: in `PEERS`. shape: of the input, (B, 3, S, S). Compiling takes minutes on a GPU."""
    mode, graph = PEERS[name]
    image = torch.zeros(shape, device=device)
    pinned = torch.zeros(shape, pin_memory=device != "cpu")
    call = compiled(module, mode, device) if mode else module
    kept: list[tuple[Tensor, ...]] = []

    def once() -> None:
        if mode == "max-autotune":  # what the last run put out may be overwritten
            torch.compiler.cudagraph_mark_step_begin()
        kept[:] = [call(image)]

    for _ in range(BEFORE_CAPTURE):  # which compiles, and records torch.compile's own graphs
        once()
    run = captured(device, once) if graph else once
    run()
    wait(device)
    return Peer(device, image, pinned, lambda: kept[0], run)
