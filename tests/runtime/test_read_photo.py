from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_passd.errors import BadInput
from edge_passd.photo import SUFFIXES, as_bgr, read_photo

# An EXIF header that says: turn by 90 degrees clockwise to see me upright.
EXIF = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"


def encoded(image: np.ndarray, suffix: str) -> bytes:
    return cv2.imencode(suffix, image)[1].tobytes()


def with_segment(jpeg: bytes, marker: int, content: bytes) -> bytes:
    """The JPEG with a header segment after its start marker."""
    return jpeg[:2] + struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content + jpeg[2:]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_is_read(tmp_path: Path, cat: np.ndarray, suffix: str) -> None:
    path = tmp_path / f"cat{suffix}"
    path.write_bytes(encoded(cat, suffix))
    image = read_photo(path)
    assert (image.shape, image.dtype) == (cat.shape, np.uint8)
    assert np.abs(image.astype(int) - cat).mean() < 5


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("share", [0.98, 0.5, 0.1])
def test_a_photo_cut_short_is_refused(
    tmp_path: Path, cat: np.ndarray, suffix: str, share: float, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"cut{suffix}"
    data = encoded(cat, suffix)
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(BadInput, match="cut"):
        read_photo(path)
    if suffix in (".jpg", ".png"):  # the libraries that would complain by themselves
        assert capfd.readouterr().err == ""


def test_a_thumbnail_does_not_hide_the_cut_and_a_trailer_is_no_damage(
    tmp_path: Path, cat: np.ndarray
) -> None:
    thumbnail = encoded(cv2.resize(cat, (40, 30)), ".jpg")
    jpeg = with_segment(encoded(cat, ".jpg"), 0xE1, b"thumb" + thumbnail)
    path = tmp_path / "cat.jpg"
    path.write_bytes(jpeg[: len(jpeg) // 2])
    with pytest.raises(BadInput, match="cut short"):
        read_photo(path)
    path.write_bytes(jpeg + b"a maker's own trailer")
    assert read_photo(path).shape == cat.shape


def test_a_progressive_jpeg_is_read(tmp_path: Path, cat: np.ndarray) -> None:
    path = tmp_path / "cat.jpg"
    cv2.imwrite(str(path), cat, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])
    assert read_photo(path).shape == cat.shape


def test_exif_orientation_is_applied_on_demand(tmp_path: Path, cat: np.ndarray) -> None:
    path = tmp_path / "cat.jpg"
    path.write_bytes(with_segment(encoded(cat, ".jpg"), 0xE1, EXIF))
    stored = read_photo(path, upright=False)
    assert stored.shape == cat.shape
    np.testing.assert_array_equal(read_photo(path), np.rot90(stored, -1))


def test_a_damaged_png_is_refused_without_a_word_of_its_library(
    tmp_path: Path, cat: np.ndarray, capfd: pytest.CaptureFixture[str]
) -> None:
    data = bytearray(encoded(cat, ".png"))
    data[len(data) // 2] ^= 0xFF
    path = tmp_path / "cat.png"
    path.write_bytes(bytes(data))
    with pytest.raises(BadInput, match="damaged"):
        read_photo(path)
    assert capfd.readouterr().err == ""


def test_grey_and_transparent_and_deep_files_become_bgr(tmp_path: Path, cat: np.ndarray) -> None:
    kinds = {
        "grey": cat[..., 0],
        "alpha": cv2.cvtColor(cat, cv2.COLOR_BGR2BGRA),
        "deep": cat.astype(np.uint16) * 257,
    }
    for name, image in kinds.items():
        cv2.imwrite(str(tmp_path / f"{name}.png"), image)
        assert read_photo(tmp_path / f"{name}.png").shape == cat.shape
        assert read_photo(tmp_path / f"{name}.png").dtype == np.uint8


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"some text", b"\0" * 99]
)
def test_what_is_no_photo_is_bad_input_that_names_the_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.jpg"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"odd\.jpg"):
        read_photo(path)


def test_a_missing_file_and_a_folder_are_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no such file: .*none\.jpg"):
        read_photo(tmp_path / "none.jpg")
    with pytest.raises(BadInput, match="not a file"):
        read_photo(tmp_path)


def test_fuzzed_headers_are_read_or_refused(tmp_path: Path, cat: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "fuzz"
    outcomes = set()
    for suffix in (".jpg", ".png", ".bmp"):
        whole = encoded(cat[:40, :40], suffix)
        for _ in range(60):
            data = bytearray(whole)
            data[rng.integers(min(len(data), 400))] = rng.integers(256)
            path.write_bytes(bytes(data))
            try:
                read_photo(path)
                outcomes.add("read")
            except BadInput:
                outcomes.add("refused")
    assert outcomes == {"read", "refused"}


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1), (4, 5, 3), (4, 5, 4)])
def test_arrays_of_one_three_and_four_channels_become_bgr(shape: tuple[int, ...]) -> None:
    image = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    bgr = as_bgr(image)
    assert bgr.shape == (4, 5, 3)
    first = image if image.ndim == 2 else image[..., 0]
    np.testing.assert_array_equal(bgr[..., 0], first)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 5, 3), np.float32),
        np.zeros((4, 5, 3), np.uint16),
        np.zeros((4, 5, 2), np.uint8),
        np.zeros((1, 4, 5, 3), np.uint8),
        np.zeros(5, np.uint8),
        np.zeros((0, 5, 3), np.uint8),
        np.zeros((4, 0), np.uint8),
    ],
    ids=lambda image: f"{image.shape} {image.dtype}",
)
def test_other_arrays_are_a_value_error(image: np.ndarray) -> None:
    with pytest.raises(ValueError, match="an image must be"):
        as_bgr(image)
