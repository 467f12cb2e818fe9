"""Bundles for GPUs, run by NVIDIA's driver alone."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Lock

import numpy as np

from edge_passd.bundle.archive import Bundle, read_bundle
from edge_passd.bundle.machine import check_machine, this_machine
from edge_passd.bundle.plan import CudaPlan
from edge_passd.engines.base import check_image
from edge_passd.engines.cuda_driver import OUT_OF_MEMORY, CudaError, load_driver, version_name
from edge_passd.engines.cuda_gpu import Gpu, Work
from edge_passd.engines.cuda_images import choose_image, refusal
from edge_passd.engines.table import other_target
from edge_passd.errors import BadInput


class CudaEngine:
    """See `edge_passd.engines.base.Engine`. It takes one thread, whatever `threads` says.

    Several threads may share it; they take turns. `close` gives memory and kernels back before the
    engine is collected; it cannot be used afterwards. Images and results of all methods are as many
    as the bundle's `batch` says, which is one in what `edge-passd compile` writes.
    """

    name = "cuda"

    def __init__(self, path: Path, threads: int | None = None) -> None:
        bundle = read_bundle(path)
        manifest, plan = bundle.manifest, bundle.manifest.plan
        if not isinstance(plan, CudaPlan):
            raise other_target(path, self.name, manifest.target.kind)
        check_machine(manifest.target, this_machine(), str(path))
        self.metadata = replace(manifest.model, precision=manifest.precision).to_json()
        self.batch = plan.batch
        self._path, self._size = path, manifest.model.input_size
        self._lock = Lock()
        try:
            driver = load_driver()
            info = driver.first_gpu()
            image = choose_image(plan.images, info.capability, info.driver)
            if image is None:
                raise refusal(path, manifest, plan.images, info)
            self._gpu = Gpu(driver, info)
            self._finalizer = weakref.finalize(self, self._gpu.close)
            self._program = _Program(self._gpu, bundle, plan, image.file)
        except CudaError as error:
            raise BadInput(f"{path}: cuda cannot load it: {error}") from error

    def run(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with self._at_work(image) as program:
            return program.run(image)

    def time_operators(self, image: np.ndarray, repeats: int) -> np.ndarray:
        """(operators of the manifest, repeats): seconds of the GPU, launched one by one.

        What a launch of its own adds, some microseconds, is in each.
        """
        with self._at_work(image) as program:
            return program.time_operators(image, repeats)

    def time_graph(
        self, image: np.ndarray, repeats: int, operators: Sequence[int] | None = None
    ) -> np.ndarray:
        """(repeats,): seconds of the GPU for whole inferences, copies in and out included.

        One after another without a pause; as graphs, where the driver has them.
        operators: only these, by number and in this order, without copies, on what a whole `run`
        has left behind; one may be there several times.
        """
        with self._at_work(image) as program:
            return program.time_graph(image, repeats, operators)

    def run_operators(self, image: np.ndarray, first: int, last: int) -> np.ndarray:
        """Only the operators from number `first` to before `last`, after a whole `run`.

        Returns (bytes,) uint8, a copy of the workspace that they have left behind.
        """
        with self._at_work(image) as program:
            return program.run_operators(image, first, last)

    def close(self) -> None:
        """Give everything back now; a second time does nothing."""
        with self._lock:
            self._finalizer()

    @contextmanager
    def _at_work(self, image: np.ndarray) -> Iterator[_Program]:
        check_image(image, self._size, self.batch)
        with self._lock:
            if not self._finalizer.alive:
                raise ValueError("the engine is closed")
            try:
                self._gpu.use()
                yield self._program
            except CudaError as error:
                raise BadInput(
                    f"{self._path}: the GPU failed while it computed ({error}); start again, and "
                    "if it stays, compile the model again or look for the GPU's fault in dmesg"
                ) from error


class _Program:
    """The kernels, loaded, and all the memory that they ever use."""

    def __init__(self, gpu: Gpu, bundle: Bundle, plan: CudaPlan, image: str) -> None:
        size = bundle.manifest.model.input_size
        constants = np.frombuffer(bundle.files[plan.constants], np.uint8)
        self._gpu = gpu
        shapes = ((3, size, size), (plan.boxes, 4), (plan.boxes, plan.classes))
        host = [gpu.host_array((plan.batch, *shape)) for shape in shapes]
        sizes = (constants.nbytes, plan.workspace_bytes, *(each.nbytes for each in host))
        addresses = _allocate(gpu, sizes)
        module = _load(gpu, image, bundle.files[image])
        gpu.copy_in(addresses[0], constants)
        self._launches = [gpu.launcher(module, each, addresses) for each in plan.launches]
        self._image, *self._outputs = host
        _, at_workspace, at_image, *at_outputs = addresses
        self._workspace = at_workspace, plan.workspace_bytes
        self._copy_in: Work = partial(gpu.copy_in, at_image, self._image)
        self._copies_out: list[Work] = [
            partial(gpu.copy_out, array, address)
            for array, address in zip(self._outputs, at_outputs, strict=True)
        ]
        everything = partial(_enqueue, [self._copy_in, *self._launches, *self._copies_out])
        everything()
        gpu.wait()
        self._whole = gpu.captured(everything)
        self._parts: dict[tuple[int, ...], Work] = {}

    def run(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self._image[:] = image
        self._whole()
        self._gpu.wait()
        boxes, scores = self._outputs
        return boxes.copy(), scores.copy()

    def run_operators(self, image: np.ndarray, first: int, last: int) -> np.ndarray:
        self._image[:] = image
        address, size = self._workspace
        workspace = np.empty(size, np.uint8)
        _enqueue([self._copy_in, *self._launches[first:last]])
        self._gpu.copy_out(workspace, address)
        self._gpu.wait()
        return workspace

    def time_operators(self, image: np.ndarray, repeats: int) -> np.ndarray:
        self.run(image)
        return np.array([self._gpu.seconds(self._launches) for _ in range(repeats)]).T

    def time_graph(
        self, image: np.ndarray, repeats: int, operators: Sequence[int] | None
    ) -> np.ndarray:
        self.run(image)
        graph = self._whole if operators is None else self._part(tuple(operators))
        return np.array(self._gpu.seconds([graph] * repeats))

    def _part(self, operators: tuple[int, ...]) -> Work:
        """A graph of these launches, captured once."""
        if operators not in self._parts:
            launches = [self._launches[number] for number in operators]
            self._parts[operators] = self._gpu.captured(partial(_enqueue, launches))
        return self._parts[operators]


def _enqueue(works: Iterable[Work]) -> None:
    for work in works:
        work()


def _allocate(gpu: Gpu, sizes: Sequence[int]) -> list[int]:
    """Addresses of so many bytes each, none of which may be none."""
    free = gpu.free_bytes()
    try:
        return [gpu.allocate(max(size, 1)) for size in sizes]
    except CudaError as error:
        if error.status != OUT_OF_MEMORY:
            raise
        raise CudaError(
            f"out of GPU memory: {sum(sizes) / 1e6:.1f} MB are needed, {free / 1e6:.1f} MB were "
            "free; end other programs that use the GPU",
            error.status,
        ) from None


def _load(gpu: Gpu, name: str, content: bytes) -> int:
    try:
        return gpu.load(content)
    except CudaError as error:
        raise CudaError(
            f"the driver (CUDA {version_name(gpu.info.driver)}) refuses {name}: {error}; update "
            "it, or compile the model again",
            error.status,
        ) from None
