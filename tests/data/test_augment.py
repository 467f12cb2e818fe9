"""Augmentation: the boxes stay on what they mark, whatever happens to the picture."""

from __future__ import annotations

import dataclasses
import json

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_passd.errors import BadInput
from quant.data.augment import AugmentConfig, Scene, augment, distort, mosaic
from quant.data.windows import MEAN_BGR

Photos = dict[str, np.ndarray]

PLAIN = AugmentConfig(photometric=0, channel_order=0, flip=0, zoom_out=0, crop=0)
FLIP = dataclasses.replace(PLAIN, flip=1)
CROP = dataclasses.replace(PLAIN, crop=1)
ZOOM_OUT = dataclasses.replace(PLAIN, zoom_out=1)
ALL = dataclasses.replace(PLAIN, flip=0.5, crop=1, zoom_out=0.5)

MAGENTA, GREEN = (255, 0, 255), (0, 255, 0)
BOXES = np.array([[40, 60, 180, 250], [220, 30, 380, 280]], np.float32)
LABELS = np.array([4, 2])
NONE_IGNORED = np.zeros(2, bool)


def painted(photo: np.ndarray) -> np.ndarray:
    """The photo with the first of BOXES filled with magenta, the second with green."""
    photo = photo.copy()
    for (x1, y1, x2, y2), colour in zip(BOXES.astype(int), (MAGENTA, GREEN), strict=True):
        photo[y1:y2, x1:x2] = colour
    return photo


def found(picture: np.ndarray) -> dict[int, np.ndarray]:
    """Label to the box around what is magenta (4) and what is green (2) in the picture."""
    blue, green, red = np.moveaxis(picture.astype(int), -1, 0)
    marks = {4: np.minimum(blue, red) - green, 2: green - np.maximum(blue, red)}
    boxes = {}
    for label, mark in marks.items():
        rows, columns = np.nonzero(mark > 127)
        if len(rows):
            edges = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            boxes[label] = np.array(edges)
    return boxes


def assert_boxes_on_marks(scene: Scene, least_side: float = 4) -> int:
    """Every mark has its box, at most 1.5 pixels off, and every box its mark; how many."""
    marks = found(scene.pixels)
    for box, label in zip(scene.boxes, scene.labels.tolist(), strict=True):
        if (box[2:] - box[:2] >= least_side).all():
            np.testing.assert_allclose(box, marks[label], atol=1.5)
    for label, mark in marks.items():
        if (mark[2:] - mark[:2] >= least_side).all():
            assert label in scene.labels
    return len(scene.labels)


@pytest.mark.parametrize("size", [64, 320])
@pytest.mark.parametrize("config", [PLAIN, FLIP, CROP, ZOOM_OUT, ALL])
@pytest.mark.parametrize("name", ["chelsea", "astronaut", "coffee"])
def test_boxes_stay_on_what_they_mark(
    photos: Photos, name: str, config: AugmentConfig, size: int
) -> None:
    assert not found(photos[name])  # no mark before one is painted
    photo = painted(photos[name])
    config = dataclasses.replace(config, ignore_cut=True)  # boxes of cut objects are kept as well
    count = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        scene = augment(photo, BOXES, LABELS, NONE_IGNORED, size, config, rng)
        assert scene.pixels.shape == (size, size, 3)
        count += assert_boxes_on_marks(scene)
    assert count >= 30


def test_mosaic_boxes_stay_on_what_they_mark(photos: Photos) -> None:
    marked = Scene(painted(photos["coffee"]), BOXES, LABELS, NONE_IGNORED)
    nothing = (np.zeros((0, 4), np.float32), np.zeros(0, int), np.zeros(0, bool))
    bare = [Scene(photos[name], *nothing) for name in ("chelsea", "astronaut", "chelsea")]
    config = dataclasses.replace(ALL, ignore_cut=True)
    for corner in range(4):
        scenes = [*bare[:corner], marked, *bare[corner:]]
        count = 0
        for seed in range(20):
            scene = mosaic(scenes, 320, config, np.random.default_rng(seed))
            assert scene.pixels.shape == (320, 320, 3)
            count += assert_boxes_on_marks(scene)
        assert count >= 20


def test_mosaic_shows_all_four_photos(photos: Photos) -> None:
    colours = [(250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 250)]
    nothing = (np.zeros((0, 4), np.float32), np.zeros(0, int), np.zeros(0, bool))
    scenes = [Scene(np.full((90, 120, 3), colour, np.uint8), *nothing) for colour in colours]
    picture = mosaic(scenes, 128, PLAIN, np.random.default_rng(0)).pixels
    corners = [picture[0, 0], picture[0, -1], picture[-1, 0], picture[-1, -1]]
    assert [tuple(corner.tolist()) for corner in corners] == colours
    assert {tuple(c) for c in picture.reshape(-1, 3).tolist()} == set(colours)  # and nothing else


def test_mosaic_of_three_is_refused(photos: Photos) -> None:
    scene = Scene(photos["coffee"], BOXES, LABELS, NONE_IGNORED)
    with pytest.raises(ValueError, match="4 scenes"):
        mosaic([scene] * 3, 320, PLAIN, np.random.default_rng(0))


def test_at_its_own_size_a_photo_stays_as_it_is(photos: Photos) -> None:
    photo = photos["astronaut"]
    rng = np.random.default_rng(0)
    plain = augment(photo, BOXES, LABELS, NONE_IGNORED, 512, PLAIN, rng)
    np.testing.assert_array_equal(plain.pixels, photo)
    np.testing.assert_array_equal(plain.boxes, BOXES)
    flipped = augment(photo, BOXES, LABELS, NONE_IGNORED, 512, FLIP, rng)
    np.testing.assert_array_equal(flipped.pixels, photo[:, ::-1])
    np.testing.assert_array_equal(flipped.boxes, [[332, 60, 472, 250], [132, 30, 292, 280]])


@pytest.mark.parametrize("size", [64, 128])
def test_shrinking_averages(photos: Photos, size: int) -> None:
    photo = photos["astronaut"]
    scene = augment(photo, BOXES, LABELS, NONE_IGNORED, size, PLAIN, np.random.default_rng(0))
    averaged = cv2.resize(photo, (size, size), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(scene.pixels, averaged)


def test_zoom_out_fills_with_the_mean_colour_and_keeps_all_boxes(photos: Photos) -> None:
    white = np.full_like(photos["coffee"], 255)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        scene = augment(white, BOXES, LABELS, NONE_IGNORED, 320, ZOOM_OUT, rng)
        inside = (scene.pixels == 255).all(axis=-1)
        outside = (scene.pixels == MEAN_BGR).all(axis=-1)
        assert len(scene.boxes) == 2
        assert 1 / 16 - 0.02 < inside.mean() <= 1
        assert inside.mean() + outside.mean() > 0.97  # all but the blended rim


def test_without_ignore_cut_a_box_goes_with_its_centre(photos: Photos) -> None:
    photo, gone = photos["coffee"], 0
    for seed in range(60):
        kept, every = (
            augment(
                photo,
                BOXES,
                LABELS,
                NONE_IGNORED,
                320,
                dataclasses.replace(CROP, ignore_cut=ignore_cut),
                np.random.default_rng(seed),
            )
            for ignore_cut in (False, True)
        )
        np.testing.assert_array_equal(kept.pixels, every.pixels)
        np.testing.assert_array_equal(kept.boxes, every.boxes[~every.ignored])
        np.testing.assert_array_equal(kept.labels, every.labels[~every.ignored])
        assert not kept.ignored.any()
        assert len(kept.boxes) >= 1  # a crop always holds the centre of some box
        gone += int(every.ignored.sum())
    assert gone > 0


def test_an_ignored_box_stays_as_long_as_any_of_it_shows(photos: Photos) -> None:
    photo, cut = painted(photos["coffee"]), 0
    ignored = np.array([False, True])
    for seed in range(60):
        rng = np.random.default_rng(seed)
        scene = augment(photo, BOXES, LABELS, ignored, 320, CROP, rng)
        assert_boxes_on_marks(scene)
        np.testing.assert_array_equal(scene.ignored, scene.labels == 2)
        cut += int(scene.ignored.sum())
    assert 10 < cut < 60


def test_a_photo_without_boxes_is_cropped_so_that_some_of_it_shows() -> None:
    white = np.full((100, 140, 3), 255, np.uint8)
    shares = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        config = dataclasses.replace(CROP, zoom_out=1)
        scene = augment(white, BOXES[:0], LABELS[:0], NONE_IGNORED[:0], 64, config, rng)
        shares.append((scene.pixels == 255).all(axis=-1).mean())
    assert min(shares) > 0
    assert max(shares) == 1  # zoomed out, a picture without a rim is a crop


photo_sides = st.integers(1, 90)
coordinates = st.floats(0, 1, width=32)


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    """Photos of noise, down to a single pixel, with boxes anywhere in them."""
    width, height, count = draw(photo_sides), draw(photo_sides), draw(st.integers(0, 5))
    corners = draw(st.lists(coordinates, min_size=4 * count, max_size=4 * count))
    pairs = np.sort(np.array(corners, np.float32).reshape(count, 2, 2), axis=1)
    return Scene(
        np.random.default_rng(draw(st.integers(0, 9))).integers(
            0, 256, (height, width, 3), np.uint8
        ),
        pairs.reshape(count, 4) * np.array([width, height, width, height], np.float32),
        np.arange(count),
        np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)), bool),
    )


configs = st.builds(
    AugmentConfig,
    photometric=st.floats(0, 1),
    channel_order=st.floats(0, 1),
    flip=st.floats(0, 1),
    zoom_out=st.floats(0, 1),
    zoom_out_max=st.floats(1, 16),
    crop=st.floats(0, 1),
    crop_ious=st.lists(st.floats(0, 1), max_size=3).map(tuple),
    crop_min_side=st.floats(0.05, 1),
    crop_max_aspect=st.floats(1, 20),
    min_box=st.floats(0, 20),
    ignore_cut=st.booleans(),
)


def assert_sound(scene: Scene, size: int, config: AugmentConfig) -> None:
    pixels, boxes, labels, ignored = scene
    assert (pixels.shape, pixels.dtype) == ((size, size, 3), np.uint8)
    assert (boxes.shape, boxes.dtype) == ((len(labels), 4), np.float32)
    assert (len(ignored), ignored.dtype, labels.dtype) == (len(labels), bool, np.int64)
    assert np.isfinite(boxes).all()
    assert ((boxes >= 0) & (boxes <= size)).all()
    assert (boxes[:, 2:] - boxes[:, :2] >= config.min_box - 1e-3).all()


@settings(max_examples=150, deadline=None)
@given(scenes(), configs, st.sampled_from([64, 96]), st.integers(0, 2**32))
def test_whatever_is_asked_the_scene_is_sound(
    scene: Scene, config: AugmentConfig, size: int, seed: int
) -> None:
    before = [array.copy() for array in scene]
    first = augment(*scene, size, config, np.random.default_rng(seed))
    assert_sound(first, size, config)
    if not config.ignore_cut:  # every box still has the label and the mark that it came with
        np.testing.assert_array_equal(first.ignored, scene.ignored[first.labels])
    assert sorted(set(first.labels.tolist())) == first.labels.tolist()
    for array, original in zip(scene, before, strict=True):
        np.testing.assert_array_equal(array, original)
    again = augment(*scene, size, config, np.random.default_rng(seed))
    for array, same in zip(first, again, strict=True):
        np.testing.assert_array_equal(array, same)


@settings(max_examples=50, deadline=None)
@given(st.lists(scenes(), min_size=4, max_size=4), configs, st.integers(0, 2**32))
def test_whatever_is_asked_the_mosaic_is_sound(
    four: list[Scene], config: AugmentConfig, seed: int
) -> None:
    assert_sound(mosaic(four, 96, config, np.random.default_rng(seed)), 96, config)


@settings(max_examples=60, deadline=None)
@given(scenes(), st.integers(0, 2**32))
def test_boxes_move_one_by_one_as_they_move_together(scene: Scene, seed: int) -> None:
    config = dataclasses.replace(PLAIN, flip=0.5, zoom_out=0.5)
    together = augment(*scene, 64, config, np.random.default_rng(seed))
    singles = []
    for i in range(len(scene.labels)):
        boxes, labels, ignored = (array[i : i + 1] for array in scene[1:])
        rng = np.random.default_rng(seed)
        singles.append(augment(scene.pixels, boxes, labels, ignored, 64, config, rng))
    for part, name in enumerate(Scene._fields[1:], 1):
        apart = [single[part] for single in singles]
        joined = np.concatenate([together[part][:0], *apart])
        np.testing.assert_array_equal(joined, together[part], err_msg=name)


def test_a_panorama_longer_than_a_warp_can_address() -> None:
    long = np.full((4, 40_000, 3), 200, np.uint8)
    box = np.array([[30_000, 0, 38_000, 4]], np.float32)
    for seed in range(5):
        scene = augment(
            long, box, LABELS[:1], NONE_IGNORED[:1], 64, CROP, np.random.default_rng(seed)
        )
        assert (scene.pixels == 200).all()
        assert len(scene.boxes) == 1


def test_distort_at_probability_zero_changes_nothing(photos: Photos) -> None:
    unchanged = distort(photos["coffee"], PLAIN, np.random.default_rng(0))
    np.testing.assert_array_equal(unchanged, photos["coffee"])


@pytest.mark.parametrize("only", ["brightness", "contrast", "saturation", "hue"])
def test_each_distortion_changes_the_picture_and_not_much_else(photos: Photos, only: str) -> None:
    still = AugmentConfig(brightness=0, contrast=0, saturation=0, hue=0, photometric=1)
    strength = {only: getattr(AugmentConfig(), only)}
    config = dataclasses.replace(still, channel_order=0, **strength)
    small = cv2.resize(photos["coffee"], (60, 40), interpolation=cv2.INTER_AREA)
    hsv = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_BGR2HSV)
    for seed in range(10):
        changed = distort(small, config, np.random.default_rng(seed))
        assert (changed != small).any()
        after = cv2.cvtColor(changed.astype(np.float32) / 255, cv2.COLOR_BGR2HSV)
        if only in ("saturation", "hue"):  # neither touches the value
            np.testing.assert_allclose(after[..., 2], hsv[..., 2], atol=0.02)
        if only == "hue":
            np.testing.assert_allclose(after[..., 1], hsv[..., 1], atol=0.1)


def test_contrast_and_brightness_stay_in_their_ranges() -> None:
    still = dataclasses.replace(PLAIN, photometric=1, saturation=0, hue=0)
    config = dataclasses.replace(still, contrast=0.2, brightness=20)
    greys = np.array([80, 160], np.uint8).repeat(3).reshape(1, 2, 3)
    drawn = []
    for seed in range(200):
        dark, light = distort(greys, config, np.random.default_rng(seed))[0, :, 0].astype(float)
        contrast = (light - dark) / 80
        drawn.append((contrast, dark / contrast - 80))
    # Each of the two levels may be rounded by half a level.
    np.testing.assert_allclose(np.min(drawn, axis=0), [0.8, -20], atol=2.1)
    np.testing.assert_allclose(np.max(drawn, axis=0), [1.2, 20], atol=2.1)
    assert np.abs(np.array(drawn)[:, 0] - 1).max() <= 0.2 + 1 / 80


def test_channel_order_only_swaps_channels(photos: Photos) -> None:
    config = dataclasses.replace(PLAIN, channel_order=1)
    orders = set()
    for seed in range(20):
        changed = distort(photos["coffee"], config, np.random.default_rng(seed))
        np.testing.assert_array_equal(np.sort(changed), np.sort(photos["coffee"]))
        orders.add(tuple(changed[200, 300].tolist()))
    assert len(orders) > 3


def test_configuration_survives_json() -> None:
    config = AugmentConfig(crop_ious=(0.2, 0.4), mosaic=0.3)
    assert AugmentConfig(**json.loads(json.dumps(dataclasses.asdict(config)))) == config


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("flip", 1.5),
        ("photometric", -0.1),
        ("mosaic", float("nan")),
        ("contrast", 2),
        ("brightness", 300),
        ("hue", 181),
        ("zoom_out_max", 0.5),
        ("crop_min_side", 0),
        ("crop_max_aspect", 0.5),
        ("min_box", -1),
        ("crop_ious", (0.1, 1.1)),
    ],
)
def test_settings_out_of_range(name: str, value: float) -> None:
    with pytest.raises(BadInput, match=name):
        AugmentConfig(**{name: value})  # type: ignore[arg-type]
