"""CUDA kernels on numpy arrays, and whole models of them, executed by an ordinary processor."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from ctypes import c_char_p, c_int, c_uint, c_void_p
from dataclasses import replace
from pathlib import Path

import numpy as np

from edge_passd.bundle.manifest import Manifest
from edge_passd.bundle.plan import CudaPlan, Launch
from edge_passd.engines.base import check_image

ARRAYS = ("constants", "workspace", "image", "boxes", "scores")
READ_ONLY = ("constants", "image")

POISON = 0x7F  # as in runtime.cpp: huge as a float, not a number as a half, 127 as a byte
GUARD = 1 << 16  # bytes on either side of an array
ALIGNMENT = 256  # bytes; that of the driver's memory


class KernelFault(Exception):
    """What a kernel does that a GPU may not, or not always: which kernel, where, and what."""


class EmulatedGpu:
    """Kernels, and the five arrays that all their launches get.

    kernels: a library of `compile_kernels`. arrays: as `ARRAYS` names them; uint8, uint8 and three
    float32, C-contiguous. They are copied to where a write beside them is seen.
    """

    def __init__(self, kernels: Path, arrays: Sequence[np.ndarray]) -> None:
        self._library = ctypes.CDLL(str(kernels.absolute()))
        self._emulate = self._library.edge_passd_emulate
        self._emulate.argtypes = (c_char_p, *[c_uint] * 7, c_void_p)
        self._library.edge_passd_emulator_error.restype = c_char_p
        self._memories = {name: _Memory(array) for name, array in zip(ARRAYS, arrays, strict=True)}
        self.arrays = tuple(memory.array for memory in self._memories.values())
        addresses = (array.ctypes.data for array in self.arrays)
        self._pointers = (c_void_p * len(ARRAYS))(*addresses)

    def launch(self, launch: Launch, descending: bool = False) -> None:
        """Run a kernel; it changes `arrays`.

        descending: the last blocks, warps and threads run first. What a kernel writes must not
        depend on it. Raises KernelFault.
        """
        before = {name: self._memories[name].array.copy() for name in READ_ONLY}
        self._library.edge_passd_emulator_descending(c_int(descending))
        extents = (*launch.grid, *launch.block, launch.shared_bytes)
        if self._emulate(launch.kernel.encode(), *extents, self._pointers):
            raise KernelFault(self._library.edge_passd_emulator_error().decode())
        for name, memory in self._memories.items():
            if (offset := memory.trespass()) is not None:
                raise KernelFault(f"kernel {launch.kernel} wrote beside {name}, at byte {offset}")
        for name, content in before.items():
            if not np.array_equal(_bytes(content), _bytes(self._memories[name].array)):
                raise KernelFault(f"kernel {launch.kernel} wrote into {name}")


class EmulatedEngine:
    """See `edge_passd.engines.base.Engine`; a bundle's manifest and files, on `kernels`.

    What a launch reads before another has written it is `POISON`. Raises KernelFault as it runs.
    """

    name = "emulated GPU"

    def __init__(
        self,
        manifest: Manifest,
        files: Mapping[str, bytes],
        kernels: Path,
        descending: bool = False,
    ) -> None:
        plan, size = manifest.plan, manifest.model.input_size
        if not isinstance(plan, CudaPlan):
            raise ValueError(f"the bundle is for {manifest.target.kind}, not for a GPU")
        self.metadata = replace(manifest.model, precision=manifest.precision).to_json()
        self._launches, self._size, self._descending = plan.launches, size, descending
        self._gpu = EmulatedGpu(
            kernels,
            (
                np.frombuffer(files[plan.constants], np.uint8),
                np.empty(plan.workspace_bytes, np.uint8),
                np.empty((1, 3, size, size), np.float32),
                np.empty((1, plan.boxes, 4), np.float32),
                np.empty((1, plan.boxes, plan.classes), np.float32),
            ),
        )

    def run(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        check_image(image, self._size)
        _, workspace, own_image, boxes, scores = self._gpu.arrays
        own_image[:] = image
        for array in (workspace, boxes, scores):
            _bytes(array)[:] = POISON
        for launch in self._launches:
            self._gpu.launch(launch, self._descending)
        return boxes.copy(), scores.copy()


class _Memory:
    """A copy of an array between guards."""

    def __init__(self, content: np.ndarray) -> None:
        size = content.nbytes
        memory = np.full(GUARD + size + GUARD + ALIGNMENT, POISON, np.uint8)
        first = -memory.ctypes.data % ALIGNMENT
        self._all = memory[first : first + GUARD + size + GUARD]
        self._size = size
        self.array = self._all[GUARD : GUARD + size].view(content.dtype).reshape(content.shape)
        self.array[...] = content

    def trespass(self) -> int | None:
        """How far from the array's begin a byte beside it has changed; None: nowhere."""
        for start in (0, GUARD + self._size):
            changed = self._all[start : start + GUARD] != POISON
            if changed.any():
                return start + int(changed.argmax()) - GUARD
        return None


def _bytes(array: np.ndarray) -> np.ndarray:
    return array.reshape(-1).view(np.uint8)
