"""CUDA's driver interface (its header cuda.h), as far as running compiled kernels needs it.

In ctypes, because the driver, libcuda.so.1, is all that every board with a GPU has: any of CUDA
10.2 to 13 will do.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import POINTER, byref, c_char, c_float, c_int, c_size_t, c_uint, c_uint64, c_void_p
from dataclasses import dataclass
from typing import Any

from edge_passd.errors import BadInput

LIBRARY = "libcuda.so.1"
ELSEWHERE = "or run the .onnx model instead: --engine onnxruntime"

OUT_OF_MEMORY, NO_DEVICE = 2, 100  # CUresult
_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76  # CUdevice_attribute
_NAME_BYTES = 256

_HANDLE, _ADDRESS = c_void_p, c_uint64  # an object of the driver, a place in GPU memory
_UINT3 = (c_uint,) * 3

# By the functions' names in the header, their arguments. Behind many a name stands a newer version
# of the function, with a name of its own in the library.
_ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "cuInit": (c_uint,),
    "cuDriverGetVersion": (POINTER(c_int),),
    "cuDeviceGetCount": (POINTER(c_int),),
    "cuDeviceGet": (POINTER(c_int), c_int),
    "cuDeviceGetName": (POINTER(c_char), c_int, c_int),
    "cuDeviceGetAttribute": (POINTER(c_int), c_int, c_int),
    "cuDevicePrimaryCtxRetain": (POINTER(_HANDLE), c_int),
    "cuDevicePrimaryCtxRelease": (c_int,),
    "cuCtxSetCurrent": (_HANDLE,),
    "cuModuleLoadDataEx": (POINTER(_HANDLE), c_void_p, c_uint, POINTER(c_int), POINTER(c_void_p)),
    "cuModuleGetFunction": (POINTER(_HANDLE), _HANDLE, c_void_p),
    "cuModuleUnload": (_HANDLE,),
    "cuFuncSetAttribute": (_HANDLE, c_int, c_int),
    "cuMemGetInfo": (POINTER(c_size_t), POINTER(c_size_t)),
    "cuMemAlloc": (POINTER(_ADDRESS), c_size_t),
    "cuMemFree": (_ADDRESS,),
    "cuMemHostAlloc": (POINTER(c_void_p), c_size_t, c_uint),
    "cuMemFreeHost": (c_void_p,),
    "cuMemcpyHtoDAsync": (_ADDRESS, c_void_p, c_size_t, _HANDLE),
    "cuMemcpyDtoHAsync": (c_void_p, _ADDRESS, c_size_t, _HANDLE),
    "cuStreamCreate": (POINTER(_HANDLE), c_uint),
    "cuStreamSynchronize": (_HANDLE,),
    "cuStreamDestroy": (_HANDLE,),
    "cuEventCreate": (POINTER(_HANDLE), c_uint),
    "cuEventRecord": (_HANDLE, _HANDLE),
    "cuEventElapsedTime": (POINTER(c_float), _HANDLE, _HANDLE),
    "cuEventDestroy": (_HANDLE,),
    "cuLaunchKernel": (
        _HANDLE, *_UINT3, *_UINT3, c_uint, _HANDLE, c_void_p, c_void_p,
    ),
    "cuStreamBeginCapture": (_HANDLE, c_int),
    "cuStreamEndCapture": (_HANDLE, POINTER(_HANDLE)),
    "cuGraphInstantiateWithFlags": (POINTER(_HANDLE), _HANDLE, c_uint64),
    "cuGraphInstantiate": (POINTER(_HANDLE), _HANDLE, c_void_p, c_void_p, c_size_t),
    "cuGraphLaunch": (_HANDLE, _HANDLE),
    "cuGraphDestroy": (_HANDLE,),
    "cuGraphExecDestroy": (_HANDLE,),
    "cuGetErrorName": (c_int, POINTER(ctypes.c_char_p)),
    "cuGetErrorString": (c_int, POINTER(ctypes.c_char_p)),
}  # fmt: skip
# Under their plain names these are, in every driver, what they were long before CUDA 10.
_SECOND = {
    "cuMemGetInfo", "cuMemAlloc", "cuMemFree", "cuMemcpyHtoDAsync", "cuMemcpyDtoHAsync",
    "cuStreamDestroy", "cuEventDestroy", "cuStreamBeginCapture",
}  # fmt: skip
# CUDA 11 brought the second version of these, CUDA 10 has the first.
_SECOND_OR_FIRST = {"cuDevicePrimaryCtxRelease", "cuGraphInstantiate"}


class CudaError(Exception):
    """What the driver says when it fails, in one line. status: its CUresult."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True)
class GpuInfo:
    """A GPU. ordinal: the driver's number of it. capability: its compute capability, (8, 7) for
    sm_87. driver: the CUDA release that the driver is for, (12, 6)."""

    ordinal: int
    name: str
    capability: tuple[int, int]
    driver: tuple[int, int]


def capability_name(capability: Sequence[int]) -> str:
    """(8, 7) as in sm_87."""
    major, minor = capability
    return f"sm_{major}{minor}"


def version_name(version: Sequence[int]) -> str:
    """(12, 6) as in 12.6."""
    return ".".join(map(str, version))


class Driver:
    """A loaded libcuda.so.1."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._functions: dict[str, Any] = {}
        for name, arguments in _ARGUMENTS.items():
            if function := _exported(library, name):
                function.argtypes, function.restype = arguments, c_int
                self._functions[name] = function

    def has(self, *names: str) -> bool:
        """Whether it is new enough for all of these functions."""
        return all(name in self._functions for name in names)

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function; CudaError says which one failed and why."""
        self.check(name, self.status(name, *arguments))

    def check(self, name: str, status: int) -> None:
        """Raise CudaError for the CUresult of a function, unless it is 0."""
        if status:
            raise CudaError(f"{name}: {self._reason(status)}", status)

    def status(self, name: str, *arguments: Any) -> int:
        """Call a function and return its CUresult, 0 if all is well."""
        if name not in self._functions:
            raise CudaError(f"{LIBRARY} has no {name}", -1)
        return self._functions[name](*arguments)

    def create(self, name: str, *arguments: Any) -> int:
        """The object that a function makes, by its first argument."""
        handle = c_void_p()
        self.call(name, byref(handle), *arguments)
        return handle.value or 0

    def first_gpu(self) -> GpuInfo:
        """The GPU to compute on; CUDA_VISIBLE_DEVICES puts another one first.

        Raises BadInput where there is none, CudaError where the driver fails.
        """
        count = self._int("cuDeviceGetCount")
        if not count:
            raise no_gpu()
        ordinal = self._int("cuDeviceGet", 0)
        name = ctypes.create_string_buffer(_NAME_BYTES)
        self.call("cuDeviceGetName", name, _NAME_BYTES, ordinal)
        major = self._int("cuDeviceGetAttribute", _CAPABILITY_MAJOR, ordinal)
        minor = self._int("cuDeviceGetAttribute", _CAPABILITY_MINOR, ordinal)
        version = self._int("cuDriverGetVersion")  # 12060 for 12.6
        return GpuInfo(
            ordinal,
            name.value.decode("utf-8", "replace"),
            (major, minor),
            (version // 1000, version % 1000 // 10),
        )

    def _int(self, name: str, *arguments: Any) -> int:
        number = c_int()
        self.call(name, byref(number), *arguments)
        return number.value

    def _reason(self, status: int) -> str:
        texts = []
        for name in ("cuGetErrorName", "cuGetErrorString"):
            text = ctypes.c_char_p()
            self.status(name, status, byref(text))
            texts.append((text.value or b"unknown").decode("utf-8", "replace"))
        return f"{texts[0]} {status} ({texts[1]})"


def load_driver() -> Driver:
    """This machine's driver, ready for use.

    Raises BadInput where there is no driver or no GPU, CudaError where the driver fails.
    """
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise BadInput(
            f"no CUDA driver ({error}): on a Jetson install JetPack, on a PC NVIDIA's driver, "
            f"{ELSEWHERE}"
        ) from None
    driver = Driver(library)
    status = driver.status("cuInit", 0)
    if status == NO_DEVICE:
        raise no_gpu()
    driver.check("cuInit", status)
    return driver


def this_gpu() -> GpuInfo:
    """The GPU to compute on. Raises BadInput where there is none, or the driver fails."""
    try:
        return load_driver().first_gpu()
    except CudaError as error:
        raise BadInput(f"the CUDA driver fails ({error}): install it again, {ELSEWHERE}") from error


def no_gpu() -> BadInput:
    """The error for a driver that sees no GPU."""
    return BadInput(
        f"the CUDA driver ({LIBRARY}) finds no GPU: check nvidia-smi and CUDA_VISIBLE_DEVICES, in "
        f"a container start it with the GPU, {ELSEWHERE}"
    )


def _exported(library: ctypes.CDLL, name: str) -> Any:
    """The function behind a name of the header, or None if the driver is too old for it."""
    second = getattr(library, f"{name}_v2", None)
    if name in _SECOND:
        return second
    if name in _SECOND_OR_FIRST and second:
        return second
    return getattr(library, name, None)
