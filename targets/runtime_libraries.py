"""TVM's runtime as two shared libraries, for a bundle to carry: its board installs nothing of TVM.

For this machine they come from the installed packages, for another one from the same release's
wheels, which are downloaded once.
"""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console

from edge_passd.errors import BadInput

# The oldest first: a wheel carries the tag of the oldest C library that it runs with.
_GLIBC = ("2014", "_2_17", "_2_24", "_2_26", "_2_27", "_2_28")


@dataclass(frozen=True)
class Library:
    """Where one library lies: in a folder of a package, installed or in a wheel.

    wheels: for each machine the name of the wheel and its SHA-256.
    """

    package: str
    requirement: str
    wheels: dict[str, tuple[str, str]]

    def path(self, name: str) -> str:
        """Of the file `name` below the folder that packages are installed in."""
        return f"{self.package}/lib/{name}"


# In the order in which they must be loaded.
LIBRARIES = {
    "libtvm_ffi.so": Library(
        "tvm_ffi",
        "apache-tvm-ffi==0.1.14.post1",
        {
            "aarch64": (
                "apache_tvm_ffi-0.1.14.post1-cp312-cp312-"
                "manylinux_2_24_aarch64.manylinux_2_28_aarch64.whl",
                "3fd2255a2e363a40c51ec1eeedb1110a2c74e443f95ae351ee5a81b5ff6808cf",
            ),
            "x86_64": (
                "apache_tvm_ffi-0.1.14.post1-cp312-cp312-"
                "manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl",
                "eb759c039866b541ec2cb07d498082f8ba6ded74d58d9196180a5932f365c077",
            ),
        },
    ),
    "libtvm_runtime.so": Library(
        "tvm",
        "apache-tvm==0.27.0.post1",
        {
            "aarch64": (
                "apache_tvm-0.27.0.post1-py3-none-"
                "manylinux_2_27_aarch64.manylinux_2_28_aarch64.whl",
                "4acfdb7653e4e1ba7a707bdf2833db72eb8fda7d04d99141f2a4e1da43171fb7",
            ),
            "x86_64": (
                "apache_tvm-0.27.0.post1-py3-none-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl",
                "f503fc903b6e16fda5daacac6698ecb8bc38937f57da7aa29f6c7ab169d08657",
            ),
        },
    ),
}
MACHINES = ("aarch64", "x86_64")


def runtime_libraries(machine: str, console: Console | None = None) -> dict[str, bytes]:
    """The files "libtvm_ffi.so" and "libtvm_runtime.so", in the order to load them.

    machine: one of `MACHINES`, Linux. console: shows that a download is going on.
    Raises BadInput for another machine, a TVM that is not installed, or a download that fails.
    """
    if machine not in MACHINES:
        raise BadInput(f"no TVM runtime for {machine!r}; there are {' and '.join(MACHINES)}")
    read = _installed if machine == _this_machine() else _from_wheel
    shown = console or Console(quiet=True)
    return {name: read(name, library, machine, shown) for name, library in LIBRARIES.items()}


def pip_platforms(machine: str) -> list[str]:
    """pip's arguments for wheels of Linux on `machine` with a C library of 2018 or later."""
    return [f"--platform=manylinux{glibc}_{machine}" for glibc in _GLIBC]


def _this_machine() -> str | None:
    return platform.machine() if sys.platform == "linux" else None


def _installed(name: str, library: Library, machine: str, console: Console) -> bytes:
    spec = find_spec(library.package)
    if spec is None or spec.origin is None:
        raise BadInput(f'{library.package} is not installed: pip install "edge-passd[targets]"')
    return (Path(spec.origin).parents[1] / library.path(name)).read_bytes()


def _from_wheel(name: str, library: Library, machine: str, console: Console) -> bytes:
    file_name, sha256 = library.wheels[machine]
    wheel = _cache() / file_name
    if not _is_sound(wheel, sha256):
        with console.status(f"downloading {library.requirement} for {machine}"):
            _download(library.requirement, machine, wheel, sha256)
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(library.path(name))


def _download(requirement: str, machine: str, wheel: Path, sha256: str) -> None:
    wheel.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=wheel.parent) as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        pip += ["--no-deps", "--only-binary=:all:", "--implementation=cp", "--python-version=3.12"]
        done = subprocess.run(
            [*pip, *pip_platforms(machine), f"--dest={folder}", requirement],
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
        )  # fmt: skip
        advice = "go online for the first compile for this machine, or compile with --no-runtime"
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["pip failed"])[-1]
            raise BadInput(
                f"cannot download {requirement} for {machine} "
                f"({reason.removeprefix('ERROR: ')}); {advice}"
            )
        fresh = Path(folder) / wheel.name
        if not _is_sound(fresh, sha256):
            raise BadInput(
                f"the package index gave another {requirement} for {machine} than the released "
                f"{wheel.name} (SHA-256 {sha256[:16]}...); {advice}"
            )
        os.replace(fresh, wheel)


def _is_sound(wheel: Path, sha256: str) -> bool:
    return wheel.is_file() and hashlib.sha256(wheel.read_bytes()).hexdigest() == sha256


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "edge-passd"
