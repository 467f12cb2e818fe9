"""Models to measure the speed of: random weights do, for speed depends on shapes alone."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from bench import PHOTO
from edge_passd.files import replacing
from edge_passd.photo import read_photo
from edge_passd.preprocess import to_input
from quant.engine import model_info
from quant.export.formats import ONNX
from quant.int8.calibrate import calibrate
from quant.int8.convert import quantise
from quant.int8.scheme import Scheme
from quant.model import PASSD, ModelConfig
from quant.run_folder import load_run
from quant.training.trainer import random_model as untrained

PRECISIONS = ("fp32", "int8")

# Raw offsets and logits of an untrained head are near zero: all boxes would be default boxes.
_SPREAD = 0.5  # standard deviation
_CROPS = 8


def file_name(classes: int, precision: str, size: int) -> str:
    """Of a model of C = `classes` (background included) in a folder of models, without suffix."""
    return f"c{classes}-{precision}-{size}"


def random_model(classes: int, precision: str, size: int, folder: Path) -> Path:
    """The .onnx of a MobileNet-PASSD with random weights, made in `folder` unless it is there.

    classes: C, the background included; at least 2. precision: one of `PRECISIONS`; the int8 model
    is calibrated on crops of a real photo and exported as every int8 model is. size: of the square
    input in pixels. The same arguments give the same weights.
    """
    path = folder / f"{file_name(classes, precision, size)}.onnx"
    if not path.is_file():
        names = tuple(f"class {number}" for number in range(1, classes))
        _write(lively_model(names, size, quantised=precision == "int8"), path)
    return path


def exported(run: Path, folder: Path) -> Path:
    """The .onnx of a run folder's best weights, written anew into `folder`, without a gate."""
    path = folder / f"{run.name}.onnx"
    _write(load_run(run)[0], path)
    return path


def _write(model: PASSD, path: Path) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(ONNX.write(model, model_info(model, {})))


def lively_model(
    names: tuple[str, ...],
    size: int,
    quantised: bool = False,
    weights: Mapping[str, Tensor] = MappingProxyType({}),
) -> PASSD:
    """A model whose boxes move and stretch with the picture and whose scores differ.

    names: of the classes, without the background. weights: by name, instead of random ones.
    """
    model = untrained(ModelConfig(names, size), seed=0).eval()
    model.load_state_dict({**model.state_dict(), **weights})
    with tempfile.TemporaryDirectory() as folder:
        photos = _crops(Path(folder))
        images = [to_input(read_photo(photo), size, "stretch")[0] for photo in photos]
        _spread_outputs(model, torch.from_numpy(np.concatenate(images)), weights)
        if not quantised:
            return model
        scheme = Scheme(photos=len(photos))
        model = quantise(model, scheme)
        calibrate(model, photos, scheme)
        return model


def photo_crops() -> list[np.ndarray]:
    """Eight parts of one photo, each three quarters as wide and as high: (H, W, 3) uint8 BGR."""
    photo = read_photo(PHOTO)
    height, width = (3 * side // 4 for side in photo.shape[:2])
    corners = np.random.default_rng(0).uniform(size=(_CROPS, 2)) * (
        photo.shape[0] - height,
        photo.shape[1] - width,
    )
    return [
        photo[top : top + height, left : left + width] for top, left in corners.astype(int)
    ]  # fmt: skip


def _crops(folder: Path) -> list[Path]:
    files = []
    for number, crop in enumerate(photo_crops()):
        files.append(folder / f"{number}.png")
        cv2.imwrite(str(files[-1]), crop)
    return files


@torch.inference_mode()
def _spread_outputs(model: PASSD, images: Tensor, known: Collection[str]) -> None:
    """known: names of weights that stay as they are."""
    assert model.propose is not None
    heads: dict[nn.Module, nn.Conv2d] = {model.attend: model.attend.projection}
    if "propose.offsets.weight" not in known:
        heads[model.propose.offsets] = model.propose.offsets
    levels: dict[nn.Module, list[Tensor]] = {head: [] for head in heads}
    handles = [
        head.register_forward_hook(lambda head, _, output: levels[head].append(output.flatten()))
        for head in heads
    ]
    model(images)
    for handle in handles:
        handle.remove()
    for head, conv in heads.items():
        conv.weight.mul_(_SPREAD / torch.cat(levels[head]).std())
