"""A fragmented MP4 (ISO/IEC 14496-12, 8.8) out of short complete ones.

An ordinary MP4 has its index at its end, and is lost without it. A fragmented one carries an
index with every second or so: cut off anywhere, it plays up to there. OpenCV writes only ordinary
ones, so it writes one for each fragment, and what is in them is put together here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

_HEADER = 8  # bytes: size and type
_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)  # no rotation
_NON_SYNC, _SYNC = 0x01010000, 0x02000000  # sample_flags: needs others, needs none
_DEFAULT_BASE_IS_MOOF = 0x020000
_DATA_OFFSET, _FIRST_FLAGS, _SIZES = 0x1, 0x4, 0x200  # what a trun box holds
_PATH = (b"moov", b"trak", b"mdia", b"minf", b"stbl")


@dataclass(frozen=True)
class Samples:
    """The coded pictures of one film: each one's bytes, and how to decode them (box `stsd`)."""

    pictures: tuple[bytes, ...]
    description: bytes


def read_samples(film: bytes) -> Samples:
    """The samples of an ordinary MP4 with one track, in the order of the file.

    Of a film without an index, as a full disk leaves it, there are none.
    """
    table = memoryview(film)
    for name in _PATH:
        table = dict(_boxes(table)).get(name, memoryview(b""))
    found = dict(_boxes(table))
    data = dict(_boxes(memoryview(film))).get(b"mdat")
    if data is None or not {b"stsd", b"stsz"} <= found.keys():
        return Samples((), b"")
    each, count = struct.unpack_from(">II", found[b"stsz"], 4)
    sizes = (each,) * count if each else struct.unpack_from(f">{count}I", found[b"stsz"], 12)
    pictures, at = [], 0
    for size in sizes:
        if at + size > len(data):
            break
        pictures.append(bytes(data[at : at + size]))
        at += size
    return Samples(tuple(pictures), _box(b"stsd", bytes(found[b"stsd"])))


def header(description: bytes, width: int, height: int, fps: Fraction) -> bytes:
    """What a file begins with. description: of the samples; width, height: in pixels."""
    rate = fps.numerator  # ticks a second; a picture lasts as many as the denominator says
    nothing = struct.pack(">I", 0)
    video = _full(b"vmhd", 0, 1, bytes(8))
    source = _box(b"dinf", _full(b"dref", 0, 0, struct.pack(">I", 1), _full(b"url ", 0, 1)))
    table = _box(
        b"stbl",
        description,
        _full(b"stts", 0, 0, nothing),
        _full(b"stsc", 0, 0, nothing),
        _full(b"stsz", 0, 0, nothing, nothing),
        _full(b"stco", 0, 0, nothing),
    )
    media = _box(
        b"mdia",
        _full(b"mdhd", 0, 0, struct.pack(">4IHH", 0, 0, rate, 0, 0x55C4, 0)),  # language "und"
        _full(b"hdlr", 0, 0, nothing, b"vide", bytes(12), b"video\0"),
        _box(b"minf", video, source, table),
    )
    track = _full(
        b"tkhd", 0, 3, struct.pack(">5I", 0, 0, 1, 0, 0), bytes(16), _MATRIX,
        struct.pack(">II", width << 16, height << 16),
    )  # fmt: skip
    extends = struct.pack(">5I", 1, 1, fps.denominator, 0, _NON_SYNC)
    movie = struct.pack(">5IH", 0, 0, rate, 0, 0x10000, 0x100)
    return _box(b"ftyp", b"iso5", struct.pack(">I", 512), b"iso5iso6mp41") + _box(
        b"moov",
        _full(b"mvhd", 0, 0, movie, bytes(10), _MATRIX, bytes(24), struct.pack(">I", 2)),
        _box(b"trak", track, media),
        _box(b"mvex", _full(b"trex", 0, 0, extends)),
    )


def fragment(number: int, start: int, pictures: tuple[bytes, ...]) -> bytes:
    """The pictures of one short film, the first of which needs no other.

    number: from 1. start: its time, in ticks.
    """
    sizes = struct.pack(f">{len(pictures)}I", *map(len, pictures))

    def moof(data_offset: int) -> bytes:
        run = struct.pack(">IiI", len(pictures), data_offset, _SYNC)
        return _box(
            b"moof",
            _full(b"mfhd", 0, 0, struct.pack(">I", number)),
            _box(
                b"traf",
                _full(b"tfhd", 0, _DEFAULT_BASE_IS_MOOF, struct.pack(">I", 1)),
                _full(b"tfdt", 1, 0, struct.pack(">Q", start)),
                _full(b"trun", 0, _DATA_OFFSET | _FIRST_FLAGS | _SIZES, run, sizes),
            ),
        )

    return moof(len(moof(0)) + _HEADER) + _box(b"mdat", *pictures)


def _boxes(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Type and content of the boxes side by side in `data`, as far as they are whole."""
    at = 0
    while at + _HEADER <= len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        if size < _HEADER or at + size > len(data):
            return
        yield name, data[at + _HEADER : at + size]
        at += size


def _box(name: bytes, *content: bytes) -> bytes:
    whole = b"".join(content)
    return struct.pack(">I4s", _HEADER + len(whole), name) + whole


def _full(name: bytes, version: int, flags: int, *content: bytes) -> bytes:
    """A box with a version and flags."""
    return _box(name, struct.pack(">I", version << 24 | flags), *content)
