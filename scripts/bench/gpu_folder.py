"""A folder of compiled models with all that it takes to check and time them on another machine.

Read without a compiler: where there is a GPU, numpy is enough for it.
"""

from __future__ import annotations

import json
import lzma
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_passd.errors import BadInput
from edge_passd.files import read_json, replacing, require_file, write_text

INDEX = "bench.json"
PACKED = ".tar.xz"
SCHEMA = 1

# The same weights stand in many of the files, in pieces of 64 bytes or more: what is as far back as
# this is found again.
_REACH = 1 << 28
_PACKING = [{"id": lzma.FILTER_LZMA2, "preset": 1, "dict_size": _REACH}]


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
    written: what there is to check. trained: whether its weights are. photo: number of the photo that the values in `samples` are of,
    which goes last into a batch.
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
        """Arrays `at0`, (n,) numbers of elements of `written[0]`, `values0`, (n,), and so on."""
        return f"{self.name}.npz"

    @property
    def answers(self) -> str:
        return answers_name(self.classes, self.precision)


def answers_name(classes: int, precision: str) -> str:
    """Arrays boxes (photos, N, 4) and scores (photos, N, C), float32."""
    return f"answers-c{classes}-{'int8' if precision == 'int8' else 'float'}.npz"


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
    """The folder as one small file beside it: DIR.tar.xz."""
    path = folder.with_name(folder.name + PACKED)
    with (
        replacing(path) as temporary,
        lzma.open(temporary, "wb", filters=_PACKING) as file,
        tarfile.open(fileobj=file, mode="w") as archive,
    ):
        for each in sorted(folder.iterdir(), key=_alike):
            archive.add(each, each.name)
    return path


def _alike(path: Path) -> tuple[str, str]:
    """Files that share weights side by side: by precision, the float16 of PyTorch with ours."""
    kinds = ("fp32", "int8", "fp16", "weights")
    return next((kind for kind in kinds if kind in path.name), "").replace("weights", "fp16"), (
        path.name
    )


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """A folder as it is; what `pack` wrote, as a folder for the time being."""
    if path.is_dir():
        yield path
        return
    require_file(path, "a folder that `bench_gpu.py build` wrote, or its .tar.xz")
    with tempfile.TemporaryDirectory() as name:
        try:
            with tarfile.open(path, "r:xz") as archive:
                archive.extractall(name, filter="data")
        except (tarfile.TarError, lzma.LZMAError, EOFError) as error:
            raise BadInput(f"{path}: damaged ({error}); copy it again") from error
        yield Path(name)
