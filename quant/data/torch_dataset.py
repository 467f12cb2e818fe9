"""From checked photos to batches: the same pictures for the same (seed, epoch, photo), always."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from edge_passd.errors import BadInput
from edge_passd.samples import DataSet
from quant.data.augment import AugmentConfig, Scene, augment, mosaic
from quant.data.photos import PhotoCache

# Streams of random numbers drawn from one seed; each has its own so that none repeats another.
_ORDER, _SIZES, _PICTURES = range(3)


class Pick(NamedTuple):
    """What the sampler asks of the data set: photo number `photo`, as epoch `epoch` sees it.

    It carries the epoch and the size (pixels) so that worker processes need no state.
    """

    epoch: int
    photo: int
    size: int


class Item(NamedTuple):
    """One training picture.

    picture: (3, S, S) uint8 RGB, stored channels last. boxes: (K, 4) float32 corners in its pixels.
    labels: (K,) int64, index into the classes, background not among them. ignored: (K,) bool.
    """

    picture: torch.Tensor
    boxes: torch.Tensor
    labels: torch.Tensor
    ignored: torch.Tensor


@dataclass(frozen=True)
class Batch:
    """Training pictures and their boxes, padded to the largest number of boxes M.

    images: (B, 3, S, S) uint8 RGB, memory format channels_last.
    boxes: (B, M, 4) float32 corners, pixels, padded with 0. labels: (B, M) int64, padded with -1.
    ignored: (B, M) bool, padded with False.
    """

    images: torch.Tensor
    boxes: torch.Tensor
    labels: torch.Tensor
    ignored: torch.Tensor

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        """The same batch on `device`."""
        return Batch(*(t.to(device, non_blocking=non_blocking) for t in self._tensors()))

    def pin_memory(self) -> Batch:
        """The same batch in page-locked memory; DataLoader calls this."""
        return Batch(*(t.pin_memory() for t in self._tensors()))

    def _tensors(self) -> tuple[torch.Tensor, ...]:
        return self.images, self.boxes, self.labels, self.ignored


class TrainingSet(Dataset[Item]):
    """Augmented training pictures; `training_set[Pick(epoch, photo, size)]` is always the same."""

    def __init__(
        self, dataset: DataSet, cache: PhotoCache, config: AugmentConfig, seed: int = 0
    ) -> None:
        self.dataset = dataset
        self.cache = cache
        self.config = config
        self.seed = seed

    def __len__(self) -> int:
        return len(self.dataset.samples)

    def __getitem__(self, pick: Pick) -> Item:
        rng = _generator(self.seed, _PICTURES, pick.epoch, pick.photo)
        scene = self._scene(pick.photo)
        if rng.random() < self.config.mosaic:
            others = [self._scene(int(i)) for i in rng.integers(len(self), size=3)]
            scene = mosaic([scene, *others], pick.size, self.config, rng)
        else:
            scene = augment(*scene, pick.size, self.config, rng)
        return Item(
            torch.from_numpy(cv2.cvtColor(scene.pixels, cv2.COLOR_BGR2RGB)).permute(2, 0, 1),
            torch.from_numpy(scene.boxes),
            torch.from_numpy(scene.labels),
            torch.from_numpy(scene.ignored),
        )

    def _scene(self, index: int) -> Scene:
        sample = self.dataset.samples[index]
        photo = self.cache.photo(sample.path)
        return Scene(photo.pixels, photo.scaled(sample.boxes), sample.labels, sample.ignored)


class EpochSampler(Sampler[list[Pick]]):
    """Batches of picks for DataLoader's `batch_sampler`: one seeded permutation per epoch.

    Together the ranks of a distributed training see what one process with `world` times the batch
    size would see. Call `set_epoch` before each epoch.

    batch_size: photos per batch and rank. size: side of the pictures, pixels, a multiple of 64.
    drop_last: leave out the last, incomplete batch; otherwise it is filled to a multiple of `world`
        with photos from the start of the permutation.
    Raises BadInput when there are too few photos for one batch.
    """

    def __init__(
        self,
        photos: int,
        batch_size: int,
        size: int,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
        drop_last: bool = True,
    ) -> None:
        if photos < 1 or (drop_last and photos < batch_size * world):
            raise BadInput(
                f"{photos} photos are too few for a batch of {batch_size * world}; "
                "give more photos or a smaller batch size"
            )
        self.photos = photos
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.world = world
        self.drop_last = drop_last
        self.epoch = 0
        self.start_batch = 0
        self.sizes: tuple[int, ...] = (size,)

    def set_epoch(self, epoch: int, start_batch: int = 0) -> None:
        """Go to an epoch; a resumed training skips the batches that it has already seen."""
        self.epoch = epoch
        self.start_batch = start_batch

    def set_size(self, *sizes: int) -> None:
        """Side of the pictures (pixels) from the next epoch on; of several, each batch draws one.

        The draw depends on seed, epoch and batch only: all ranks, and a resumed training, agree.
        """
        if not sizes:
            raise ValueError("set_size takes at least one size")
        self.sizes = sizes

    def __len__(self) -> int:
        """Batches that are left in this epoch."""
        return max(0, self.batches - self.start_batch)

    @property
    def batches(self) -> int:
        """Batches in a whole epoch."""
        whole = self.batch_size * self.world
        return self.photos // whole if self.drop_last else -(-self.photos // whole)

    def __iter__(self) -> Iterator[list[Pick]]:
        order = _generator(self.seed, _ORDER, self.epoch).permutation(self.photos)
        missing = 0 if self.drop_last else -self.photos % self.world
        order = np.concatenate([order, np.resize(order, missing)])
        whole = self.batch_size * self.world
        for batch in range(self.start_batch, self.batches):
            size = int(_generator(self.seed, _SIZES, self.epoch, batch).choice(self.sizes))
            mine = order[batch * whole : (batch + 1) * whole][self.rank :: self.world]
            yield [Pick(self.epoch, int(index), size) for index in mine]


def collate(items: Sequence[Item]) -> Batch:
    """Stack training pictures of one size into a batch."""
    most = max(len(item.labels) for item in items)
    boxes = torch.zeros(len(items), most, 4)
    labels = torch.full((len(items), most), -1, dtype=torch.int64)
    ignored = torch.zeros(len(items), most, dtype=torch.bool)
    for row, item in enumerate(items):
        count = len(item.labels)
        boxes[row, :count] = item.boxes
        labels[row, :count] = item.labels
        ignored[row, :count] = item.ignored
    # Stacked in the order in which they lie in memory, so the batch is channels_last at once.
    images = torch.stack([item.picture.permute(1, 2, 0) for item in items]).permute(0, 3, 1, 2)
    return Batch(images, boxes, labels, ignored)


def loader(
    training_set: TrainingSet, sampler: EpochSampler, workers: int = 0, pin_memory: bool = False
) -> DataLoader[Any]:
    """A DataLoader of `Batch`es; `workers` processes augment, 0 means the calling process."""
    return DataLoader(
        training_set,
        batch_sampler=sampler,
        collate_fn=collate,
        num_workers=workers,
        worker_init_fn=_start_worker,
        persistent_workers=workers > 0,
        pin_memory=pin_memory,
    )


def _start_worker(_: int) -> None:
    # The workers share the cores already; OpenCV would start a thread per core in each.
    cv2.setNumThreads(0)


def _generator(seed: int, *key: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
