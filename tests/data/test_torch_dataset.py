"""From checked photos to batches: repeatable, resumable, divisible among processes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from edge_passd.errors import BadInput
from edge_passd.samples import DataSet
from quant.data.augment import AugmentConfig
from quant.data.photos import PhotoCache

torch = pytest.importorskip("torch")

from quant.data.torch_dataset import (  # noqa: E402
    Batch,
    EpochSampler,
    Pick,
    TrainingSet,
    collate,
    loader,
)

FULL = AugmentConfig()
PLAIN = AugmentConfig(photometric=0, channel_order=0, flip=0, zoom_out=0, crop=0)
Tensor = Any  # torch is imported only where it is installed
MakeSet = Callable[..., TrainingSet]


@pytest.fixture
def make_set(animals: DataSet) -> MakeSet:
    def make(config: AugmentConfig = FULL, seed: int = 0) -> TrainingSet:
        cache = PhotoCache()
        cache.fill([sample.path for sample in animals.samples])
        return TrainingSet(animals, cache, config, seed)

    return make


def same(first: Sequence[Tensor], second: Sequence[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def tensors(batch: Batch) -> tuple[Tensor, ...]:
    return batch.images, batch.boxes, batch.labels, batch.ignored


def test_item_is_the_photo_in_rgb_with_its_boxes(
    make_set: MakeSet, photos: dict[str, np.ndarray]
) -> None:
    item = make_set(PLAIN)[Pick(epoch=0, photo=1, size=512)]
    rgb = torch.from_numpy(photos["astronaut"][:, :, ::-1].copy()).permute(2, 0, 1)
    assert torch.equal(item.picture, rgb)
    assert item.boxes.tolist() == [[150, 40, 300, 300], [20, 300, 480, 500]]
    assert [t.dtype for t in item] == [torch.uint8, torch.float32, torch.int64, torch.bool]


def test_items_depend_on_seed_epoch_and_photo_only(make_set: MakeSet) -> None:
    pick = Pick(epoch=3, photo=0, size=128)
    items = make_set()
    first = items[pick]
    items[Pick(1, 2, 64)]  # what was asked for before plays no part
    assert same(first, items[pick])
    assert same(first, make_set()[pick])
    others = [
        items[pick._replace(epoch=4)],
        items[pick._replace(photo=3)],  # the same photo at another place
        make_set(seed=1)[pick],
    ]
    assert not any(torch.equal(first.picture, other.picture) for other in others)


def test_mosaic_items(make_set: MakeSet) -> None:
    config = dataclasses.replace(PLAIN, mosaic=1.0)
    items = [make_set(config)[Pick(0, photo, 128)] for photo in range(9)]
    assert all(item.picture.shape == (3, 128, 128) for item in items)
    assert max(len(item.labels) for item in items) > 2  # more than any single photo has


def test_collate_pads_and_is_channels_last_at_once(make_set: MakeSet) -> None:
    items = [make_set(PLAIN)[Pick(0, photo, 64)] for photo in range(3)]
    batch = collate(items)
    assert batch.images.shape == (3, 3, 64, 64)
    assert batch.images.is_contiguous(memory_format=torch.channels_last)
    assert batch.labels.tolist() == [[0, -1], [0, 0], [-1, -1]]
    assert torch.equal(batch.boxes[1], items[1].boxes)
    assert torch.equal(batch.boxes[0, 0], items[0].boxes[0])
    assert not batch.boxes[0, 1].any()
    assert not batch.boxes[2].any()
    assert not batch.ignored.any()
    for row, item in enumerate(items):
        assert torch.equal(batch.images[row], item.picture)


def test_a_batch_without_any_box(make_set: MakeSet) -> None:
    batch = collate([make_set()[Pick(0, photo, 64)] for photo in (2, 5)])
    shapes = [tuple(t.shape) for t in tensors(batch)]
    assert shapes == [(2, 3, 64, 64), (2, 0, 4), (2, 0), (2, 0)]


def test_ignored_boxes_reach_the_batch(animals: DataSet) -> None:
    sample = dataclasses.replace(animals.samples[1], difficult=np.array([False, True]))
    data = dataclasses.replace(animals, samples=(sample,))
    batch = collate([TrainingSet(data, PhotoCache(), PLAIN)[Pick(0, 0, 64)]])
    assert batch.ignored.tolist() == [[False, True]]


def test_shrunk_photos_give_the_same_boxes(animals: DataSet) -> None:
    pick = Pick(0, 1, 128)
    full, shrunk = (
        TrainingSet(animals, PhotoCache(max_side=side), PLAIN)[pick] for side in (None, 200)
    )
    torch.testing.assert_close(full.boxes, shrunk.boxes)


def test_batch_moves_as_a_whole(make_set: MakeSet) -> None:
    batch = collate([make_set()[Pick(0, 0, 64)]]).to("meta")
    assert {t.device.type for t in tensors(batch)} == {"meta"}


@pytest.mark.parametrize("workers", [0, 2])
def test_loader_gives_what_the_sampler_picks(make_set: MakeSet, workers: int) -> None:
    items, sampler = make_set(), EpochSampler(9, batch_size=4, size=64, seed=5)
    for epoch, size in ((0, 64), (1, 128)):
        sampler.set_epoch(epoch)
        sampler.set_size(size)
        # Done first, so that OpenCV's threads run when the workers fork.
        expected = [collate([items[pick] for pick in picks]) for picks in sampler]
        batches = list(loader(items, sampler, workers))
        assert len(batches) == len(expected) == 2
        for batch, direct in zip(batches, expected, strict=True):
            assert same(tensors(batch), tensors(direct))
            assert batch.images.shape == (4, 3, size, size)
            assert batch.images.is_contiguous(memory_format=torch.channels_last)


def test_one_loader_follows_epoch_and_size(make_set: MakeSet) -> None:
    items, sampler = make_set(), EpochSampler(9, batch_size=9, size=64)
    batches = loader(items, sampler, workers=1)
    (first,) = batches
    sampler.set_epoch(1)
    sampler.set_size(128)
    (second,) = batches
    assert (first.images.shape[-1], second.images.shape[-1]) == (64, 128)
    (direct,) = ([items[pick] for pick in picks] for picks in sampler)
    assert torch.equal(second.images, collate(direct).images)


def photos_of(batches: Sequence[Sequence[Pick]]) -> list[int]:
    return [pick.photo for picks in batches for pick in picks]


def test_each_epoch_has_every_photo_once_in_its_own_order() -> None:
    sampler = EpochSampler(50, batch_size=8, size=320, seed=1, drop_last=False)
    orders = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        batches = list(sampler)
        assert [len(picks) for picks in batches] == [8] * 6 + [2]
        assert len(sampler) == sampler.batches == 7
        assert {pick.epoch for picks in batches for pick in picks} == {epoch}
        orders.append(photos_of(batches))
        assert sorted(orders[-1]) == list(range(50))
    assert orders[0] != orders[1] != orders[2]


def test_last_incomplete_batch_is_left_out_by_default() -> None:
    assert [len(picks) for picks in EpochSampler(50, batch_size=8, size=320)] == [8] * 6


@pytest.mark.parametrize("drop_last", [True, False])
@pytest.mark.parametrize("sizes", [(320,), (256, 320, 384)])
def test_resuming_within_an_epoch(drop_last: bool, sizes: tuple[int, ...]) -> None:
    sampler = EpochSampler(50, batch_size=8, size=320, drop_last=drop_last)
    sampler.set_size(*sizes)
    sampler.set_epoch(2)
    whole = list(sampler)
    sampler.set_epoch(2, start_batch=4)
    assert list(sampler) == whole[4:]
    assert len(sampler) == len(whole) - 4


@pytest.mark.parametrize("drop_last", [True, False])
@pytest.mark.parametrize("photos", [64, 50])
def test_processes_share_the_batches_of_one(photos: int, drop_last: bool) -> None:
    def batches(rank: int, world: int) -> list[list[Pick]]:
        sampler = EpochSampler(photos, 12 // world, 320, 7, rank, world, drop_last)
        sampler.set_size(256, 320)
        sampler.set_epoch(1)
        return list(sampler)

    alone, shared = batches(0, 1), [batches(rank, 3) for rank in range(3)]
    assert len({tuple(len(picks) for picks in of_rank) for of_rank in shared}) == 1
    for whole, *parts in zip(alone, *shared, strict=True):
        together = {pick for part in parts for pick in part}
        assert set(whole) <= together
        if drop_last:
            assert sorted(whole) == sorted(pick for part in parts for pick in part)


def test_batches_draw_among_the_sizes() -> None:
    sampler = EpochSampler(400, batch_size=4, size=320)
    sampler.set_size(256, 320, 384)
    per_batch = [{pick.size for pick in picks} for picks in sampler]
    assert all(len(sizes) == 1 for sizes in per_batch)
    assert set().union(*per_batch) == {256, 320, 384}
    with pytest.raises(ValueError, match="at least one"):
        sampler.set_size()


@pytest.mark.parametrize(
    ("photos", "world", "drop_last"), [(7, 1, True), (15, 2, True), (0, 1, False)]
)
def test_too_few_photos_for_a_batch(photos: int, world: int, drop_last: bool) -> None:
    with pytest.raises(BadInput, match="too few"):
        EpochSampler(photos, batch_size=8, size=320, world=world, drop_last=drop_last)
