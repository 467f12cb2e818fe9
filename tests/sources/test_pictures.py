"""Pictures one after another in a stream of bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

from edge_passd.sources import pictures as module
from edge_passd.sources.pictures import split_pictures

CAT = np.ascontiguousarray(data.chelsea()[::4, ::4, ::-1])


def encoded(suffix: str, *parameters: int) -> bytes:
    ok, picture = cv2.imencode(suffix, CAT, parameters)
    assert ok
    return picture.tobytes()


def with_thumbnail(jpeg: bytes) -> bytes:
    """A JPEG whose header holds a JPEG."""
    thumbnail = encoded(".jpg", cv2.IMWRITE_JPEG_QUALITY, 20)
    length = (len(thumbnail) + 2).to_bytes(2, "big")
    return jpeg[:2] + b"\xff\xe1" + length + thumbnail + jpeg[2:]


BASE = encoded(".jpg")
WHOLE = {
    "baseline": BASE,
    "progressive": encoded(".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "restart markers": encoded(".jpg", cv2.IMWRITE_JPEG_RST_INTERVAL, 1),
    "thumbnail": with_thumbnail(BASE),
    "fill byte": BASE[:2] + b"\xff" + BASE[2:],
    "png": encoded(".png"),
}
CUT = BASE[: len(BASE) // 2]


def split(stream: bytes, chunk: int = 1000) -> list[bytes | None]:
    file = io.BytesIO(stream)
    return list(split_pictures(lambda size: file.read(min(size, chunk))))


@pytest.mark.parametrize("chunk", [1, 7, 4096, 2**20])
@pytest.mark.parametrize("between", [b"", b"\r\n--next\r\nContent-Type: image/jpeg\r\n\r\n"])
def test_whole_pictures_come_out_as_they_went_in(chunk: int, between: bytes) -> None:
    stream = between + between.join(WHOLE.values()) + between
    assert split(stream, chunk) == list(WHOLE.values())


@pytest.mark.parametrize(
    ("name", "before"),
    [*((name, b"") for name in WHOLE), *((name, CUT) for name in WHOLE if name != "png")],
)
def test_a_picture_is_there_as_soon_as_its_last_byte_is(name: str, before: bytes) -> None:
    pieces = [before + WHOLE[name]]

    def read(_: int) -> bytes:
        assert pieces, "it waits for more than the picture"
        return pieces.pop()

    found = split_pictures(read)
    if before:
        assert next(found) is None
    assert next(found) == WHOLE[name]


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.9, 0.999])
def test_a_picture_cut_short_costs_itself_alone(name: str, share: float) -> None:
    cut = WHOLE[name][: int(len(WHOLE[name]) * share)]
    found = split(BASE + cut + WHOLE[name] * 2 + BASE)
    whole = [picture for picture in found if picture is not None]
    if name == "png" and share == 0.999:
        # Cut within a checksum, where only decoding tells.
        assert whole.pop(1).startswith(cut)
        assert whole == [BASE, WHOLE[name], BASE]
    else:
        assert whole == [BASE, WHOLE[name], WHOLE[name], BASE]


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_the_last_picture_may_be_cut_short(name: str, share: float) -> None:
    cut = WHOLE[name][: int(len(WHOLE[name]) * share)]
    assert split(BASE + cut)[0] == BASE
    assert set(split(BASE + cut)[1:]) == {None}


def test_no_picture_at_all() -> None:
    assert split(b"") == []
    assert split(b"no picture" * 1000) == []


def test_a_length_without_end_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST", 100_000)
    huge = WHOLE["png"][:8] + b"\x7f\xff\xff\xffIDAT"
    sent = 0

    def read(size: int) -> bytes:
        nonlocal sent
        sent += size
        return (huge + bytes(size))[:size]

    assert next(split_pictures(read)) is None
    assert sent < 400_000


@settings(max_examples=60)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=300),
            st.sampled_from([*WHOLE.values(), b"\xff\xd8\xff", b"\xff\xd9", BASE[:700]]),
        ),
        max_size=8,
    ),
    st.integers(1, 5000),
)
def test_any_bytes_end_and_how_they_are_cut_up_changes_nothing(
    parts: Sequence[bytes], chunk: int
) -> None:
    stream = b"".join(parts)
    found = split(stream, chunk)
    assert found == split(stream, len(stream) + 1)
    for picture in found:
        assert picture is None or picture in stream
