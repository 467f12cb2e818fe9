"""Decoding photos and keeping them in memory."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_passd.errors import BadInput
from quant.data.photos import PhotoCache, available_memory, read_photo

Save = Callable[..., list[Path]]

# EXIF that says: turn by 90 degrees to view; with a byte pair in it that ends a JPEG.
EXIF = (
    b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0" + b"\xff\xd8\xff\xd9"
)


def with_exif(jpeg: bytes) -> bytes:
    return jpeg[:2] + b"\xff\xe1" + (len(EXIF) + 2).to_bytes(2, "big") + EXIF + jpeg[2:]


def test_pixels_are_those_stored(
    tmp_path: Path, save_photos: Save, photos: dict[str, np.ndarray]
) -> None:
    for path in save_photos(tmp_path, ".png"):
        np.testing.assert_array_equal(read_photo(path), photos[path.stem])


def test_exif_orientation_is_not_applied(
    tmp_path: Path, save_photos: Save, photos: dict[str, np.ndarray]
) -> None:
    path = save_photos(tmp_path)[0]
    plain = read_photo(path)
    path.write_bytes(with_exif(path.read_bytes()))
    turned = cv2.imread(str(path))
    assert turned is not None
    assert turned.shape[:2] == plain.shape[1::-1]  # the orientation is really in the file
    np.testing.assert_array_equal(read_photo(path), plain)


def test_bytes_after_the_end_of_a_photo_do_no_harm(tmp_path: Path, save_photos: Save) -> None:
    path = save_photos(tmp_path)[0]
    plain = read_photo(path)
    path.write_bytes(path.read_bytes() + b"\0trailer\xff\xda\0")
    np.testing.assert_array_equal(read_photo(path), plain)


@pytest.mark.parametrize(
    ("suffix", "damage", "said"),
    [
        (".jpg", lambda data: b"", "empty"),
        (".jpg", lambda data: data[:1000], "cut short"),
        (".jpg", lambda data: data[:-2], "cut short"),
        (".jpg", lambda data: with_exif(data)[: len(data) // 2], "cut short"),
        (".jpg", lambda data: data[:2], "cut short"),
        (".png", lambda data: data[: len(data) // 2], "cut short"),
        (".png", lambda data: data[:-3], "cut short"),
        (".jpg", lambda data: b"<html>not found</html>", "not a readable picture"),
        (".jpg", lambda data: data[:20] + bytes(500) + b"\xff\xd9", "not a readable picture"),
    ],
)
def test_bad_photos(
    tmp_path: Path, save_photos: Save, suffix: str, damage: Callable[[bytes], bytes], said: str
) -> None:
    path = save_photos(tmp_path, suffix)[0]
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(BadInput, match=said) as caught:
        read_photo(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", ["ghost.jpg", "", "nul\0.jpg", "x" * 5000])
def test_photos_that_cannot_be_opened(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match="cannot be opened"):
        read_photo(tmp_path / name)


def test_cache_keeps_what_it_decoded(
    tmp_path: Path, save_photos: Save, photos: dict[str, np.ndarray]
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


def test_cache_stays_below_its_limit_and_still_gives_every_photo(
    tmp_path: Path, save_photos: Save, photos: dict[str, np.ndarray]
) -> None:
    paths = save_photos(tmp_path, ".png")
    limit = photos["chelsea"].nbytes + photos["astronaut"].nbytes
    cache = PhotoCache(limit)
    cache.fill(paths)
    assert len(cache) == 2
    assert cache.used <= limit
    for path in paths:
        np.testing.assert_array_equal(cache.photo(path).pixels, photos[path.stem])


def test_cache_tells_what_is_wrong(tmp_path: Path, save_photos: Save) -> None:
    paths = save_photos(tmp_path)
    paths[1].write_bytes(b"")
    sizes, problems = PhotoCache().fill([*paths, tmp_path / "ghost.jpg"])
    assert set(sizes) == {paths[0], paths[2]}
    assert set(problems) == {paths[1], tmp_path / "ghost.jpg"}
    assert "empty" in problems[paths[1]]


def test_shrunk_photos_carry_their_boxes_along(
    tmp_path: Path, save_photos: Save, photos: dict[str, np.ndarray]
) -> None:
    path = save_photos(tmp_path, ".png")[2]
    cache = PhotoCache(max_side=150)
    cache.fill([path])
    photo = cache.photo(path)
    assert photo.pixels.shape == (100, 150, 3)
    assert (photo.width, photo.height) == (600, 400)
    boxes = np.array([[0, 0, 600, 400], [60, 40, 120, 200]], np.float32)
    np.testing.assert_allclose(photo.scaled(boxes), [[0, 0, 150, 100], [15, 10, 30, 50]])
    uncached = PhotoCache(limit=0, max_side=150).photo(path)
    np.testing.assert_array_equal(uncached.pixels, photo.pixels)


def test_pickled_cache_sends_no_photos(tmp_path: Path, save_photos: Save) -> None:
    paths = save_photos(tmp_path, ".png")
    cache = PhotoCache(max_side=100)
    cache.fill(paths)
    copy = pickle.loads(pickle.dumps(cache))
    assert (len(copy), copy.used) == (0, 0)
    np.testing.assert_array_equal(copy.photo(paths[0]).pixels, cache.photo(paths[0]).pixels)


def test_some_memory_is_available() -> None:
    assert available_memory() > 2**20
