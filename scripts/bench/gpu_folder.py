"""A folder of compiled models with all that it takes to check and time them on another machine.

Read without a compiler: where there is a GPU, numpy is enough for it.
"""

from __future__ import annotations

import io
import json
import lzma
import struct
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import count, pairwise
from math import gcd
from pathlib import Path
from typing import Any

import numpy as np

from edge_passd.errors import BadInput
from edge_passd.fields import is_word
from edge_passd.files import read_json, replacing, require_file, write_text

INDEX = "bench.json"
PACKED = ".npz.xz"
SCHEMA = 1

# The same weights stand in many of the files, in other orders but in such pieces (bytes).
_BLOCK = 64
_NAME_LENGTHS = 26  # bytes from the begin of a zip entry to the lengths of its name and extras

SAMPLES = 1024  # elements that are compared of each tensor
_STRIDE = 7919  # elements from one to the next; a prime that no tensor's size is a multiple of


@dataclass(frozen=True)
class Written:
    """What an operator leaves in the workspace: NHWC, for each photo of a batch.

    operator: its number. offset: bytes, of the first photo's. pitch: elements from one pixel to the
    next. dtype: as stored, integers less 128.
    """

    operator: int
    offset: int
    height: int
    width: int
    channels: int
    pitch: int
    dtype: str


@dataclass(frozen=True)
class Variant:
    """A compiled model. classes: C, the background included. board: that it is compiled for.

    attend: numbers of the operators that are the offset convolution, decoding and softmax with it.
    written: what there is to check. trained: whether its weights are. photo: number of the photo
    that the values in `samples` are of, which goes last into a batch.
    """

    classes: int
    precision: str
    batch: int
    board: str
    attend: tuple[int, ...]
    written: tuple[Written, ...]
    trained: bool
    photo: int

    @property
    def name(self) -> str:
        return f"c{self.classes}-{self.precision}-b{self.batch}-{self.board}"

    @property
    def bundle(self) -> str:
        return f"{self.name}.passd"

    @property
    def samples(self) -> str:
        """Arrays `values0`, (n,) what the elements `sampled` of `written[0]` are, and so on."""
        return f"{self.name}.npz"

    @property
    def answers(self) -> str:
        return answers_name(self.classes, self.precision)


def answers_name(classes: int, precision: str) -> str:
    """Arrays boxes (photos, N, 4) and scores (photos, N, C), float32, of the first photos."""
    return f"answers-c{classes}-{'int8' if precision == 'int8' else 'float'}.npz"


def sampled(size: int) -> np.ndarray:
    """(n,): the numbers of the elements that are compared of so many, each once."""
    stride = next(each for each in count(_STRIDE) if gcd(each, size) == 1)
    return np.arange(min(size, SAMPLES)) * stride % size


def weights_name(classes: int) -> str:
    """Of the float model: arrays by PyTorch's names, as `gpu_weights` writes them."""
    return f"weights-c{classes}.npz"


@dataclass(frozen=True)
class Index:
    """photos: file names, each of the models' input size. board: that peers are compared on."""

    date: str
    size: int
    board: str
    photos: tuple[str, ...]
    variants: tuple[Variant, ...]

    def find(self, classes: int, precision: str, batch: int) -> Variant | None:
        """The variant for the main board."""
        for each in self.variants:
            if (each.classes, each.precision, each.batch, each.board) == (
                classes, precision, batch, self.board,
            ):  # fmt: skip
                return each
        return None


def write_index(folder: Path, index: Index) -> None:
    write_text(folder / INDEX, json.dumps({"schema": SCHEMA, **asdict(index)}, indent=1) + "\n")


def read_index(folder: Path) -> Index:
    """Raises BadInput for a folder that `build` did not write, or one of another version."""
    values = read_json(folder / INDEX, "a folder that `bench_gpu.py build` wrote")
    if values.pop("schema", None) != SCHEMA:
        raise BadInput(f"{folder / INDEX}: of another version; build it again")
    return Index(
        values["date"], values["size"], values["board"], tuple(values["photos"]),
        tuple(_variant(each) for each in values["variants"]),
    )  # fmt: skip


def _variant(values: dict[str, Any]) -> Variant:
    written = tuple(Written(**each) for each in values["written"])
    return Variant(**{**values, "attend": tuple(values["attend"]), "written": written})


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Raises BadInput for a file that is missing or no .npz."""
    require_file(path, "what `bench_gpu.py build` wrote")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except Exception as error:  # zipfile's and numpy's errors share no base but Exception
        raise BadInput(f"{path}: damaged ({error}); copy it again") from error


def pack(folder: Path) -> Path:
    """The folder as one small file beside it: DIR.npz.xz. Every block of 64 bytes is in it once."""
    blocks: dict[bytes, int] = {}
    names, cuts, numbers = [], [], []
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        ends = _cuts(path, len(content))
        numbers += [
            blocks.setdefault(content[at : min(at + _BLOCK, end)].ljust(_BLOCK, b"\0"), len(blocks))
            for start, end in pairwise([0, *ends])
            for at in range(start, end, _BLOCK)
        ]
        names += [path.name] * len(ends)
        cuts += ends
    arrays = {
        "names": np.array(names),
        "cuts": np.array(cuts),
        # What stands in order again is in order mostly, so steps of 1 pack well.
        "steps": np.diff(np.array(numbers, np.int32), prepend=0),
        "blocks": np.frombuffer(b"".join(blocks), np.uint8),
    }
    path = folder.with_name(folder.name + PACKED)
    with replacing(path) as temporary, lzma.open(temporary, "wb", preset=1) as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    return path


def _cuts(path: Path, size: int) -> list[int]:
    """Where a file's parts end: in an archive, before each content, as blocks begin there."""
    if not zipfile.is_zipfile(path):
        return [size]
    with zipfile.ZipFile(path) as archive, path.open("rb") as file:
        starts = []
        for entry in archive.infolist():
            file.seek(entry.header_offset + _NAME_LENGTHS)
            starts.append(file.tell() + 4 + sum(struct.unpack("<HH", file.read(4))))
    return [*starts, size]


def _unpack(content: bytes, folder: Path) -> None:
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        names, cuts, steps, blocks = (arrays[key] for key in ("names", "cuts", "steps", "blocks"))
    blocks, numbers = blocks.reshape(-1, _BLOCK), np.cumsum(steps)
    parts: dict[str, bytes] = {}
    first = 0
    for name, end in zip(names.tolist(), cuts.tolist(), strict=True):
        size = end - len(parts.get(name, b""))
        last = first - (-size // _BLOCK)
        parts[name] = parts.get(name, b"") + blocks[numbers[first:last]].tobytes()[:size]
        first = last
    for name, part in parts.items():
        if not is_word(name):
            raise ValueError(f"{name!r} is no plain file name")
        (folder / name).write_bytes(part)


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """A folder as it is; what `pack` wrote, as a folder for the time being."""
    if path.is_dir():
        yield path
        return
    require_file(path, f"a folder that `bench_gpu.py build` wrote, or its {PACKED}")
    with tempfile.TemporaryDirectory() as name:
        try:
            _unpack(lzma.decompress(path.read_bytes()), Path(name))
        except Exception as error:  # lzma's, zipfile's and numpy's share no base but Exception
            raise BadInput(f"{path}: damaged ({error}); copy it again") from error
        yield Path(name)
