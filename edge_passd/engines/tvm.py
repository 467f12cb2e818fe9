"""Bundles that `edge-passd compile` made, run by TVM's runtime alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

import numpy as np

from edge_passd.bundle.archive import Bundle, read_bundle
from edge_passd.bundle.machine import check_machine, this_machine
from edge_passd.bundle.plan import Plan
from edge_passd.engines.base import cannot_load, check_image
from edge_passd.engines.table import other_target
from edge_passd.engines.tvm_ffi import Call, TvmError
from edge_passd.engines.tvm_runtime import load_function, load_runtime, set_threads
from edge_passd.errors import BadInput

Result = TypeVar("Result")

ALIGNMENT = 64  # bytes; what TVM compiles takes it for granted


class TvmEngine:
    """See `edge_passd.engines.base.Engine`; by default as many threads as cores it may use."""

    name = "tvm"

    def __init__(self, path: Path, threads: int | None = None) -> None:
        bundle = read_bundle(path)
        manifest, plan = bundle.manifest, bundle.manifest.plan
        if not isinstance(plan, Plan):
            raise other_target(path, self.name, manifest.target.kind)
        check_machine(manifest.target, this_machine(), str(path))
        self.metadata = replace(manifest.model, precision=manifest.precision).to_json()
        self._path, self._size = path, manifest.model.input_size
        # TVM has a pool for each thread that calls it. On a thread of its own an engine has the
        # number of workers that it was made with, whatever else in the process uses TVM.
        self._thread = ThreadPoolExecutor(1, "edge-passd-tvm")
        count = threads or len(os.sched_getaffinity(0))
        try:
            self._program = self._thread.submit(_Program, bundle, plan, count).result()
        except (OSError, TvmError) as error:
            raise cannot_load(path, self.name, error) from error

    def run(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        check_image(image, self._size)
        return self._compute(self._program.run, image)

    def time_operators(self, image: np.ndarray, repeats: int) -> np.ndarray:
        """(operators of the manifest, repeats): seconds that each takes, run one by one."""
        check_image(image, self._size)
        return self._compute(self._program.time_operators, image, repeats)

    def run_operators(self, image: np.ndarray, first: int, last: int) -> None:
        """Only the operators from number `first` to before `last`, after a whole `run`."""
        check_image(image, self._size)
        self._compute(self._program.run_operators, image, first, last)

    def _compute(self, work: Callable[..., Result], *arguments: Any) -> Result:
        try:
            return self._thread.submit(work, *arguments).result()
        except TvmError as error:
            raise BadInput(
                f"{self._path} is broken: tvm cannot compute it ({error}); compile it again"
            ) from error


class _Program:
    """The compiled functions and all the memory that they ever use."""

    def __init__(self, bundle: Bundle, plan: Plan, threads: int) -> None:
        size = bundle.manifest.model.input_size
        tvm = load_runtime(plan.runtime, bundle.files)
        function = load_function(tvm, bundle.files[plan.library], "run")
        set_threads(tvm, threads)
        packed = np.frombuffer(bundle.files[plan.constants], np.uint8)
        constants = _aligned(packed.shape, np.uint8)
        constants[:] = packed
        workspace = _aligned((plan.workspace_bytes,), np.uint8)
        self._image = _aligned((1, 3, size, size), np.float32)
        self._boxes = _aligned((1, plan.boxes, 4), np.float32)
        self._scores = _aligned((1, plan.boxes, plan.classes), np.float32)
        arrays = (constants, workspace, self._image, self._boxes, self._scores)
        self._call = partial(Call, tvm, function, arrays)
        self._operators = len(bundle.manifest.operators)
        self._whole = self._call((0, self._operators))

    def run(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self._image[:] = image
        self._whole()
        return self._boxes.copy(), self._scores.copy()

    def run_operators(self, image: np.ndarray, first: int, last: int) -> None:
        self._image[:] = image
        self._call((first, last))()

    def time_operators(self, image: np.ndarray, repeats: int) -> np.ndarray:
        self.run(image)
        calls = [self._call((i, i + 1)) for i in range(self._operators)]
        return np.array([[_seconds(call) for call in calls] for _ in range(repeats)]).T


def _seconds(call: Call) -> float:
    start = perf_counter()
    call()
    return perf_counter() - start


def _aligned(shape: tuple[int, ...], dtype: type[np.generic]) -> np.ndarray:
    """An array whose first element's address `ALIGNMENT` divides, with anything in it."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)
