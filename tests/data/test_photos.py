"""Keeping decoded photos in memory."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_passd.errors import BadInput
from quant.data.photos import PhotoCache, available_memory

Save = Callable[..., list[Path]]
Photos = dict[str, np.ndarray]

TURN_TO_VIEW = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"


def test_photos_are_kept_and_not_decoded_again(
    tmp_path: Path, save_photos: Save, photos: Photos
) -> None:
    paths = save_photos(tmp_path, ".png")
    cache = PhotoCache()
    told: list[tuple[int, int]] = []
    sizes, problems = cache.fill(paths, lambda done, total: told.append((done, total)))
    assert sizes == {path: photos[path.stem].shape[1::-1] for path in paths}
    assert problems == {}
    assert told == [(1, 3), (2, 3), (3, 3)]
    for path in paths:
        path.unlink()
        np.testing.assert_array_equal(cache.photo(path).pixels, photos[path.stem])
    used = cache.used
    assert cache.fill(paths) == (sizes, {})
    assert cache.used == used == sum(photos[path.stem].nbytes for path in paths)


def test_exif_orientation_is_not_applied(tmp_path: Path, save_photos: Save) -> None:
    path = save_photos(tmp_path)[0]
    plain = PhotoCache().photo(path).pixels
    jpeg, length = path.read_bytes(), (len(TURN_TO_VIEW) + 2).to_bytes(2, "big")
    path.write_bytes(jpeg[:2] + b"\xff\xe1" + length + TURN_TO_VIEW + jpeg[2:])
    turned = cv2.imread(str(path))
    assert turned is not None
    assert turned.shape[:2] == plain.shape[1::-1]  # the orientation is really in the file
    np.testing.assert_array_equal(PhotoCache().photo(path).pixels, plain)


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_beyond_the_limit_photos_are_decoded_when_asked_for(
    tmp_path: Path, save_photos: Save, photos: Photos, kept: int
) -> None:
    paths = save_photos(tmp_path, ".png")
    limit = sum(photos[path.stem].nbytes for path in paths[:kept])
    cache = PhotoCache(limit)
    cache.fill(paths)
    assert len(cache) == kept
    assert cache.used == limit
    for path in paths:
        np.testing.assert_array_equal(cache.photo(path).pixels, photos[path.stem])


def test_what_is_wrong_with_each_photo(tmp_path: Path, save_photos: Save) -> None:
    empty, cut, fine = save_photos(tmp_path)
    empty.write_bytes(b"")
    cut.write_bytes(cut.read_bytes()[:-1000])
    ghosts = [tmp_path / name for name in ("ghost.jpg", "nul\0.jpg", "x" * 5000)]
    cache = PhotoCache()
    sizes, problems = cache.fill([empty, cut, fine, *ghosts])
    assert set(sizes) == {fine}
    assert set(problems) == {empty, cut, *ghosts}
    for path, problem in problems.items():
        assert repr(str(path))[1:-1] in problem or str(path) in problem
    assert "empty" in problems[empty]
    assert "cut short" in problems[cut]
    with pytest.raises(BadInput, match=r"ghost\.jpg"):
        cache.photo(tmp_path / "ghost.jpg")


def test_shrunk_photos_carry_their_boxes_along(
    tmp_path: Path, save_photos: Save, photos: Photos
) -> None:
    path = save_photos(tmp_path, ".png")[2]
    cache = PhotoCache(max_side=150)
    assert cache.fill([path])[0] == {path: (600, 400)}
    photo = cache.photo(path)
    averaged = cv2.resize(photos["coffee"], (150, 100), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(photo.pixels, averaged)
    boxes = np.array([[0, 0, 600, 400], [60, 40, 120, 200]], np.float32)
    np.testing.assert_allclose(photo.scaled(boxes), [[0, 0, 150, 100], [15, 10, 30, 50]])
    uncached = PhotoCache(limit=0, max_side=150).photo(path)
    np.testing.assert_array_equal(uncached.pixels, photo.pixels)


def test_a_pickled_cache_sends_no_photos(tmp_path: Path, save_photos: Save) -> None:
    paths = save_photos(tmp_path, ".png")
    cache = PhotoCache(max_side=100)
    cache.fill(paths)
    copy = pickle.loads(pickle.dumps(cache))
    assert (len(copy), copy.used) == (0, 0)
    np.testing.assert_array_equal(copy.photo(paths[0]).pixels, cache.photo(paths[0]).pixels)


def test_some_memory_is_available() -> None:
    assert available_memory() > 2**20
