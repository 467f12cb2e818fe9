"""The shared library of CUDA kernels that an ordinary processor executes."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from edge_passd.errors import BadInput
from edge_passd.files import replacing
from targets.toolchain import find_linker

OLDEST = 12  # g++ that has half precision, and a pattern for what is not initialised

_HERE = Path(__file__).parent
_HEADERS = ("prelude.h", "runtime.h", "fiber.h")
_SOURCES = ("runtime.cpp", "matrix_units.cpp", "faults.cpp")

_LANGUAGE = ("-std=c++17", "-march=native", "-fPIC", "-fvisibility=hidden")
# As CUDA's compiler: whole numbers wrap around and memory has no types. And as the prelude says:
# nothing is contracted.
_SEMANTICS = ("-fwrapv", "-fno-strict-aliasing", "-ffp-contract=off")
_MATHS = ("-fno-math-errno", "-fno-trapping-math")
_CHECKS = ("-fsanitize=alignment,bounds,object-size", "-ftrivial-auto-var-init=pattern")

_KERNEL = re.compile(
    r'^extern "C" __global__ void (?:__launch_bounds__\((\d+)\) )?(\w+)\([^;{]*\{\n.*?^\}\n',
    re.MULTILINE | re.DOTALL,
)
_MOST_THREADS = "1024"  # where there are no launch bounds
_DYNAMIC = re.compile(r"extern __shared__ (?:(?:__align__|alignas)\(\d+\) )?(\w+) (\w+)\[\];")


def compile_kernels(source: str, folder: Path) -> Path:
    """The library, in `folder`; at once where it has been compiled into it before.

    source: what stands behind `prelude.cuh`, so `words.cuh` and kernels, in TVM's layout: a kernel
    begins with its line and ends with a brace that begins one.
    Raises BadInput where g++ is missing or too old, RuntimeError where it refuses the source.
    """
    compiler = find_linker(platform.machine())
    _check_version(compiler)
    path = folder / f"kernels-{_digest(compiler, source)}.so"
    if path.exists():
        return path
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as temporary, replacing(path) as unfinished:
        jobs: list[tuple[Path, tuple[str, ...]]] = [(_HERE / name, ("-O3",)) for name in _SOURCES]
        for number, text in enumerate(_files(source, cores)):
            file = Path(temporary, f"kernels_{number}.cpp")
            file.write_text(text, encoding="utf-8")
            jobs.append((file, ("-O2", *_CHECKS)))
        with ThreadPoolExecutor(cores) as pool:
            compile_one = partial(_compile, compiler, Path(temporary))
            objects = list(pool.map(compile_one, *zip(*jobs, strict=True)))
        _call(compiler, "-shared", "-o", str(unfinished), *map(str, objects))
    return path


def _files(source: str, most: int) -> list[str]:
    """The texts of at most so many C++ files with the kernels dealt out to them."""
    source = _DYNAMIC.sub(r"\1 *const \2 = static_cast<\1 *>(emulator::dynamic_shared());", source)
    head = f'#include "prelude.h"\n{_KERNEL.sub("", source)}\n'
    kernels = [_registered(kernel) for kernel in _KERNEL.finditer(source)]
    return [head + "".join(kernels[i::most]) for i in range(min(most, len(kernels)))]


def _registered(kernel: re.Match[str]) -> str:
    """A kernel so that it counts lines from its own, and the runtime finds it and its arrays."""
    text, threads, name = kernel[0], kernel[1] or _MOST_THREADS, kernel[2]
    return (
        f'#undef SHARED_SECTION\n#define SHARED_SECTION "shared_{name}"\n#line 1 "{name}"\n{text}'
        f"EMULATED_KERNEL({name}, {threads})\n"
    )


def _compile(compiler: str, folder: Path, source: Path, options: tuple[str, ...]) -> Path:
    output = folder / f"{source.stem}.o"
    options = (*_LANGUAGE, *_SEMANTICS, *_MATHS, *options, f"-I{_HERE}")
    _call(compiler, *options, "-c", "-o", str(output), str(source))
    return output


def _check_version(compiler: str) -> None:
    version = _call(compiler, "-dumpversion").strip()
    if int(version.partition(".")[0]) < OLDEST:
        raise BadInput(
            f"{compiler} is version {version}, the emulator takes {OLDEST} or newer: "
            f"sudo apt-get install g++-{OLDEST}, and CXX=g++-{OLDEST}"
        )


def _digest(compiler: str, source: str) -> str:
    """Of all that makes the library what it is."""
    digest = hashlib.sha256(_call(compiler, "--version").encode())
    for name in (*_HEADERS, *_SOURCES, Path(__file__).name):
        digest.update((_HERE / name).read_bytes())
    digest.update(source.encode())
    return digest.hexdigest()[:16]


def _call(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed:\n{done.stderr[:4000]}")
    return done.stdout
