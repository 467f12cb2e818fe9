"""Safetensors files: written whole or not at all, read with clear errors. Never pickle."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from edge_passd.errors import BadInput
from edge_passd.files import replacing


def load_exactly(model: torch.nn.Module, tensors: dict[str, Tensor], source: Path) -> None:
    """Load a state dict; every tensor must be expected, present and of its shape, or BadInput."""
    state = model.state_dict()
    for name in sorted(state.keys() | tensors.keys()):
        if name not in tensors:
            raise BadInput(f"{source}: tensor {name!r} is missing; the file is of another model")
        if name not in state:
            raise BadInput(f"{source}: tensor {name!r} is not of this model; use its own weights")
        if state[name].shape != tensors[name].shape:
            raise BadInput(
                f"{source}: tensor {name!r} has shape {tuple(tensors[name].shape)}, the model "
                f"needs {tuple(state[name].shape)}"
            )
    model.load_state_dict(tensors)


def write_tensors(path: Path, tensors: dict[str, Tensor], header: dict[str, str]) -> None:
    """Write a safetensors file, whole or not at all; header: strings kept in its metadata."""
    with replacing(path) as temporary:
        # Not save_file: it makes a file that only its owner can read, whatever the umask.
        content = save({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, header)
        temporary.write_bytes(content)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and header of a safetensors file; BadInput if it is missing or broken."""
    if not path.is_file():
        raise BadInput(f"{path}: no such file; give a .safetensors file")
    try:
        with safe_open(path, "pt") as file:
            return {k: file.get_tensor(k) for k in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise BadInput(f"{path}: not a readable safetensors file ({error})") from error
