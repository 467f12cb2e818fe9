"""The two libraries that run what TVM compiled: where they come from, and their thread pool."""

from __future__ import annotations

import ctypes
import hashlib
import os
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from edge_passd.engines.tvm_ffi import FUNCTION, Tvm, TvmError, Value
from edge_passd.errors import BadInput
from edge_passd.quiet import quiet_stderr

# In the order in which they must be loaded, with the package whose wheel has it.
PACKAGES = {"libtvm_ffi.so": "tvm_ffi", "libtvm_runtime.so": "tvm"}

ONE_CORE_PER_THREAD = -2  # TVM's affinity mode; it matters only where pinning was asked for

# How a worker waits for its next task before it sleeps, in yields: some milliseconds, which is
# longer than the gaps within a photo. With TVM's own 300,000 a camera keeps every core at 100%.
SPIN_COUNT = "10000"

_memory_files: dict[bytes, str] = {}


def load_runtime(names: Sequence[str], files: Mapping[str, bytes]) -> Tvm:
    """TVM's C interface, with the named libraries loaded, or `PACKAGES` where none are named.

    files: content of those that a bundle carries. Raises BadInput where one cannot be found,
    OSError where it cannot be loaded, TvmError where the first has no C interface.
    """
    os.environ.setdefault("TVM_THREAD_POOL_SPIN_COUNT", SPIN_COUNT)
    # Pinned, the thread that calls would pin the threads that other libraries start from it.
    os.environ.setdefault("TVM_BIND_THREADS", "0")
    first, *_ = [_open(name, files.get(name)) for name in names or PACKAGES]
    if not hasattr(first, "TVMFFIFunctionCall"):
        raise TvmError(f"{names[0]} is not TVM's C interface")
    return Tvm(first)


def load_function(tvm: Tvm, library: bytes, name: str) -> Value:
    """A function of a compiled library, which stays loaded until the process ends."""
    module = tvm.call("ffi.Module.load_from_file.so", memory_file(library), "so")
    function = tvm.call("ffi.ModuleGetFunction", module, name, False)
    if function.type_index != FUNCTION:
        raise TvmError(f"its library has no function {name}")
    return function


def set_threads(tvm: Tvm, threads: int) -> None:
    """Give the calling thread a pool of its own, of so many threads, itself among them."""
    cores = sorted(os.sched_getaffinity(0))
    chosen = (str(cores[worker % len(cores)]) for worker in range(threads))
    cores_of_workers = tvm.call("ffi.Array", *chosen)
    with quiet_stderr():  # it remarks on processors with cores of three speeds
        tvm.call("runtime.config_threadpool", ONE_CORE_PER_THREAD, threads, cores_of_workers)
    tvm.release(cores_of_workers)


def memory_file(content: bytes) -> str:
    """The path of a file in memory, which no other process finds and no disk keeps.

    It stays open, the same for the same content: the dynamic loader goes by names, and would take
    the next library under this name to be this one.
    """
    digest = hashlib.sha256(content).digest()
    if digest not in _memory_files:
        descriptor = os.memfd_create("edge-passd")
        with open(descriptor, "wb", closefd=False) as file:
            file.write(content)
        _memory_files[digest] = f"/proc/self/fd/{descriptor}"
    return _memory_files[digest]


def installed(name: str) -> Path | None:
    """One of `PACKAGES` in the wheel that is installed here; found without importing it."""
    spec = find_spec(PACKAGES[name]) if name in PACKAGES else None
    folders = (spec and spec.submodule_search_locations) or ()
    paths = (Path(folder) / "lib" / name for folder in folders)
    return next(filter(Path.is_file, paths), None)


def _open(name: str, content: bytes | None) -> ctypes.CDLL:
    """The library that is loaded already, or the installed one, or else the bundle's.

    In this order because a process cannot have two of them, and `import tvm`, before or after,
    takes the installed one.
    """
    try:
        return ctypes.CDLL(name, os.RTLD_NOLOAD | ctypes.RTLD_GLOBAL)
    except OSError:  # the loader's way to say that it is not there yet
        pass
    if path := installed(name):
        return ctypes.CDLL(str(path), ctypes.RTLD_GLOBAL)
    if content is None:
        raise BadInput(
            f"{name} is neither in the bundle nor installed: compile without --no-runtime, or "
            'pip install "edge-passd[targets]"'
        )
    return ctypes.CDLL(memory_file(content), ctypes.RTLD_GLOBAL)
