from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_passd.preprocess import LETTERBOX_GREY, Preprocessor, place, to_input, to_photo

SIDES = st.integers(1, 5000)
RESIZES = st.sampled_from(["stretch", "letterbox"])


def test_stretch_gives_rgb_planes_of_the_whole_photo(cat: np.ndarray) -> None:
    tensor, at = to_input(cat, 64, "stretch")
    assert (tensor.shape, tensor.dtype) == ((1, 3, 64, 64), np.float32)
    assert (at.left, at.top, at.inner_width, at.inner_height) == (0, 0, 64, 64)
    # Means survive scaling, and tell the channels of this ginger cat apart.
    means = cat[..., ::-1].mean(axis=(0, 1))
    np.testing.assert_allclose(tensor.mean(axis=(0, 2, 3)), means, atol=2)
    assert np.diff(means).max() < -10


def test_values_are_the_pixels() -> None:
    image = np.array([[[1, 2, 3], [250, 251, 252]]] * 2, np.uint8)
    tensor, _ = to_input(image, 2, "stretch")
    np.testing.assert_array_equal(tensor[0, :, 0], [[3, 252], [2, 251], [1, 250]])


@pytest.mark.parametrize("shape", [(30, 90), (90, 30), (1, 64), (64, 1), (64, 64)])
def test_letterbox_centres_the_photo_in_grey(shape: tuple[int, int]) -> None:
    tensor, at = to_input(np.full((*shape, 3), 200, np.uint8), 64, "letterbox")
    photo = tensor[0, 0, at.top : at.top + at.inner_height, at.left : at.left + at.inner_width]
    assert (photo == 200).all()
    assert (tensor == 200).sum() == 3 * photo.size
    assert (tensor == LETTERBOX_GREY).sum() == tensor.size - 3 * photo.size
    assert max(at.inner_width, at.inner_height) == 64
    assert abs(at.left - (64 - at.inner_width - at.left)) <= 1
    assert abs(at.top - (64 - at.inner_height - at.top)) <= 1


def by_opencv(image: np.ndarray, size: int, resize: str) -> np.ndarray:
    """The same steps, one after another, each into an array of its own."""
    at = place(image.shape[1], image.shape[0], size, resize)
    inner = cv2.resize(image, (at.inner_width, at.inner_height), interpolation=cv2.INTER_LINEAR)
    square = np.full((size, size, 3), LETTERBOX_GREY, np.uint8)
    square[at.top : at.top + at.inner_height, at.left : at.left + at.inner_width] = inner
    return cv2.dnn.blobFromImage(square, swapRB=True)


@given(
    st.lists(st.tuples(st.integers(1, 200), st.integers(1, 200)), min_size=1, max_size=4),
    st.integers(1, 130),
    RESIZES,
    st.integers(0, 2**32 - 1),
)
def test_photo_after_photo_in_the_same_memory(
    shapes: list[tuple[int, int]], size: int, resize: str, seed: int
) -> None:
    random = np.random.default_rng(seed)
    prepare = Preprocessor(size, resize)
    tensors = []
    for height, width in shapes:
        image = random.integers(0, 256, (height, width, 3), np.uint8)
        tensor, at = prepare(image)
        np.testing.assert_array_equal(tensor, by_opencv(image, size, resize), strict=True)
        np.testing.assert_array_equal(tensor, to_input(image, size, resize)[0], strict=True)
        assert at == place(width, height, size, resize)
        tensors.append(tensor)
    assert all(tensor is tensors[0] for tensor in tensors)


def test_a_part_of_a_photo_is_a_photo(cat: np.ndarray) -> None:
    part = cat[20:200:2, 300:10:-1]
    expected = by_opencv(np.ascontiguousarray(part), 64, "letterbox")
    np.testing.assert_array_equal(to_input(part, 64, "letterbox")[0], expected)


@given(SIDES, SIDES, st.sampled_from([64, 320, 768]), RESIZES)
def test_the_photo_comes_back_whole(width: int, height: int, size: int, resize: str) -> None:
    at = place(width, height, size, resize)
    inner = [at.left, at.top, at.left + at.inner_width, at.top + at.inner_height]
    back = to_photo(np.array([inner], np.float32), at)
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, [[0, 0, width, height]], rtol=1e-6)


@given(SIDES, SIDES, RESIZES, st.lists(st.floats(-1e6, 1e6, width=32), min_size=4, max_size=4))
def test_boxes_end_inside_the_photo(width: int, height: int, resize: str, box: list[float]) -> None:
    back = to_photo(np.array([box], np.float32), place(width, height, 320, resize))
    assert (back >= 0).all()
    assert (back <= [width, height, width, height]).all()


def test_no_boxes_stay_no_boxes() -> None:
    at = place(100, 50, 64, "stretch")
    assert to_photo(np.zeros((0, 4), np.float32), at).shape == (0, 4)


def test_an_unknown_way_to_resize_is_a_value_error(cat: np.ndarray) -> None:
    with pytest.raises(ValueError, match="'crop'"):
        to_input(cat, 64, "crop")
