"""The smallest real training: crops of three photos, 64 px, four pictures a batch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from skimage import data as photographs

from quant.data.augment import AugmentConfig
from quant.data.checks import check
from quant.data.photos import PhotoCache
from quant.data.reader import read_split
from quant.data.torch_dataset import TrainingSet
from quant.model import ModelConfig
from quant.model.config import HEADS
from quant.run_folder import RunFolder
from quant.training.config import TrainConfig
from quant.training.distributed import Processes
from quant.training.trainer import Trainer, Watch, random_model

SIZE = 64
BATCH = 4
CLASSES = ("cat", "person", "cup")
SILENT = Watch(lambda _state, _figures: None, lambda _row: None)

# The object of each photo: corners in pixels.
OBJECTS = {
    "chelsea": (80, 20, 340, 280),
    "astronaut": (130, 10, 320, 300),
    "coffee": (160, 60, 460, 320),
}


def write_photo_set(root: Path, train: int = 10, val: int = 3) -> Path:
    """A data set in COCO form: crops that keep most of the one object in them."""
    (root / "images").mkdir(parents=True)
    photos = {name: getattr(photographs, name)()[..., ::-1] for name in OBJECTS}
    rng = np.random.default_rng(0)
    for split, count in (("train", train), ("val", val)):
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for number in range(1, count + 1):
            label = number % 3
            name = list(OBJECTS)[label]
            left, top = rng.integers(0, 60, 2).tolist()
            crop = photos[name][top:, left:]
            file = f"{split}{number}.png"
            height, width = crop.shape[:2]
            cv2.imwrite(str(root / "images" / file), np.ascontiguousarray(crop))
            images.append({"id": number, "file_name": file, "width": width, "height": height})
            x1, y1, x2, y2 = OBJECTS[name]
            box = [max(0, x1 - left), max(0, y1 - top)]
            box += [x2 - left - box[0], y2 - top - box[1]]
            annotations.append(
                {"id": number, "image_id": number, "category_id": label + 1, "bbox": box}
            )
        categories = [{"id": i, "name": name} for i, name in enumerate(CLASSES, start=1)]
        document = {"images": images, "annotations": annotations, "categories": categories}
        (root / f"{split}.json").write_text(json.dumps(document))
    return root


def make_config(data: Path, **changes: Any) -> TrainConfig:
    """Three epochs in float32; saved and measured at the end of each."""
    values: dict[str, Any] = {
        "epochs": 3,
        "batch_size": BATCH,
        "precision": "fp32",
        "save_seconds": 1e9,
        "augment": AugmentConfig(mosaic=0.2),
    }
    return TrainConfig(data=str(data), **{**values, **changes})


def make_trainer(
    run: Path,
    config: TrainConfig,
    processes: Processes,
    head: str = "propose-attend",
    norms_loaded: bool = False,
) -> Trainer:
    """A trainer as `quant.training.train` builds it, without its reports on the data."""
    root, photos = Path(config.data), PhotoCache()
    train, _ = check(read_split(root, "train"), photos)
    val, _ = check(read_split(root, "val"), PhotoCache(limit=0))
    model = random_model(ModelConfig(train.classes, SIZE, **HEADS[head]), config.seed)
    pictures = TrainingSet(train, photos, config.augment, config.seed)
    return Trainer(RunFolder(run), config, model, pictures, val, processes, norms_loaded)
