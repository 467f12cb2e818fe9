"""A GPU at work: memory, kernels and a stream, all of them owned by one object."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from ctypes import POINTER, byref, c_float, c_int, c_size_t, c_uint64, c_void_p, pointer
from functools import partial
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from edge_passd.bundle.plan import Launch
from edge_passd.engines.cuda_driver import CudaError, Driver, GpuInfo

_MAX_DYNAMIC_SHARED = 8  # a CUfunction_attribute
_ERROR_LOG, _ERROR_LOG_BYTES = 5, 6  # CUjit_option
_LOG_BYTES = 4096
_NON_BLOCKING = 1  # a stream's flag: it does not wait for what others do on theirs
_THREAD_LOCAL = 1  # a capture's mode: what other threads do meanwhile is no part of it
_GRAPHS = ("cuStreamBeginCapture", "cuStreamEndCapture", "cuGraphLaunch")

Work = Callable[[], None]  # enqueues something on a GPU and returns


class Gpu:
    """One GPU, and all that is taken on it until `close`. Methods raise CudaError.

    Its context belongs to a thread: call `use` on the thread that calls the rest.
    """

    def __init__(self, driver: Driver, info: GpuInfo) -> None:
        self._driver, self.info = driver, info
        self._context = driver.create("cuDevicePrimaryCtxRetain", info.ordinal)
        with ExitStack() as self._owned:
            self._owned.callback(driver.status, "cuDevicePrimaryCtxRelease", info.ordinal)
            self.use()
            self._stream = self._make("cuStreamCreate", "cuStreamDestroy", _NON_BLOCKING)
            self._owned = self._owned.pop_all()

    def use(self) -> None:
        """Make the calling thread one that computes on it."""
        self._driver.call("cuCtxSetCurrent", self._context)

    def close(self) -> None:
        """Give everything back; what fails, as after a fault of the GPU, is lost anyway."""
        self._driver.status("cuCtxSetCurrent", self._context)
        self._driver.status("cuStreamSynchronize", self._stream)
        self._owned.close()

    def free_bytes(self) -> int:
        """Memory that is free now."""
        free, total = c_size_t(), c_size_t()
        self._driver.call("cuMemGetInfo", byref(free), byref(total))
        return free.value

    def allocate(self, size: int) -> int:
        """The address of so many bytes of its memory; 256 divides it."""
        address = c_uint64()
        self._driver.call("cuMemAlloc", byref(address), size)
        self._owned.callback(self._driver.status, "cuMemFree", address.value)
        return address.value

    def host_array(self, shape: tuple[int, ...]) -> np.ndarray:
        """A float32 array of zeros in this machine's memory, where the GPU can read and write it.

        It must not be used after `close`.
        """
        memory_type = c_float * prod(shape)
        size = ctypes.sizeof(memory_type)
        address = self._make("cuMemHostAlloc", "cuMemFreeHost", size, 0)
        array = np.ctypeslib.as_array(memory_type.from_address(address)).reshape(shape)
        array[:] = 0
        return array

    def load(self, image: bytes) -> int:
        """A module, from a cubin or PTX."""
        log = ctypes.create_string_buffer(_LOG_BYTES)
        options = (c_int * 2)(_ERROR_LOG, _ERROR_LOG_BYTES)
        values = (c_void_p * 2)(ctypes.addressof(log), _LOG_BYTES)
        # PTX is text that ends with a zero.
        content = ctypes.create_string_buffer(image)
        try:
            return self._make("cuModuleLoadDataEx", "cuModuleUnload", content, 2, options, values)
        except CudaError as error:
            said = " ".join(log.value.decode("utf-8", "replace").split())
            raise CudaError(f"{error}{said and f': {said}'}", error.status) from None

    def launcher(self, module: int, launch: Launch, addresses: Sequence[int]) -> Work:
        """What enqueues one kernel of a module, with GPU addresses for arguments."""
        name = launch.kernel.encode()
        try:
            function = self._driver.create("cuModuleGetFunction", module, name)
            if launch.shared_bytes:  # beyond 48 KB the driver wants to be asked first
                self._driver.call(
                    "cuFuncSetAttribute", function, _MAX_DYNAMIC_SHARED, launch.shared_bytes
                )
        except CudaError as error:
            raise CudaError(f"kernel {launch.kernel}: {error}", error.status) from None
        # Such an array keeps what its pointers point to, which c_void_p would not.
        pointers = (POINTER(c_uint64) * len(addresses))(
            *(pointer(c_uint64(address)) for address in addresses)
        )
        sizes = (*launch.grid, *launch.block, launch.shared_bytes)
        return partial(
            self._driver.call, "cuLaunchKernel", function, *sizes, self._stream, pointers, None
        )

    def copy_in(self, address: int, array: np.ndarray) -> None:
        """Enqueue a copy from a `host_array` to the GPU."""
        self._driver.call(
            "cuMemcpyHtoDAsync", address, array.ctypes.data, array.nbytes, self._stream
        )

    def copy_out(self, array: np.ndarray, address: int) -> None:
        """Enqueue a copy from the GPU to a `host_array`, or wait for one to another array."""
        self._driver.call(
            "cuMemcpyDtoHAsync", array.ctypes.data, address, array.nbytes, self._stream
        )

    def wait(self) -> None:
        """Until all that was enqueued is done; here its failures show."""
        self._driver.call("cuStreamSynchronize", self._stream)

    def seconds(self, works: Sequence[Work]) -> list[float]:
        """How long each takes on the GPU, one after another; waits until all is done."""
        with ExitStack() as owned:
            events = []
            for _ in range(len(works) + 1):
                events.append(self._driver.create("cuEventCreate", 0))
                owned.callback(self._driver.status, "cuEventDestroy", events[-1])
            self._driver.call("cuEventRecord", events[0], self._stream)
            for work, event in zip(works, events[1:], strict=True):
                work()
                self._driver.call("cuEventRecord", event, self._stream)
            self.wait()
            return [self._elapsed(*pair) for pair in pairwise(events)]

    def _elapsed(self, start: int, end: int) -> float:
        milliseconds = c_float()
        self._driver.call("cuEventElapsedTime", byref(milliseconds), start, end)
        return milliseconds.value / 1e3

    def captured(self, work: Work) -> Work:
        """The same work as one graph, or as it is where the driver has no graphs.

        Nothing runs meanwhile; `work` must have run before, because what the driver loads at first
        use cannot be loaded within a capture.
        """
        driver = self._driver
        if not driver.has(*_GRAPHS):
            return work
        graph = c_void_p()
        driver.call("cuStreamBeginCapture", self._stream, _THREAD_LOCAL)
        try:
            work()
        finally:
            status = driver.status("cuStreamEndCapture", self._stream, byref(graph))
        driver.check("cuStreamEndCapture", status)
        self._owned.callback(driver.status, "cuGraphDestroy", graph.value)
        instantiate, options = (
            ("cuGraphInstantiateWithFlags", (0,))
            if driver.has("cuGraphInstantiateWithFlags")
            else ("cuGraphInstantiate", (None, None, 0))
        )
        executable = self._make(instantiate, "cuGraphExecDestroy", graph, *options)
        return partial(driver.call, "cuGraphLaunch", executable, self._stream)

    def _make(self, create: str, destroy: str, *arguments: Any) -> int:
        """An object that `create` makes, until `close` gives it to `destroy`."""
        handle = self._driver.create(create, *arguments)
        self._owned.callback(self._driver.status, destroy, handle)
        return handle
