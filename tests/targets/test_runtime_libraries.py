from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

from edge_passd.bundle.machine import elf_machine
from edge_passd.errors import BadInput
from targets.runtime_libraries import LIBRARIES, MACHINES, runtime_libraries

NAMES = ["libtvm_ffi.so", "libtvm_runtime.so"]


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "edge-passd"


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)


@pytest.fixture
def other_machine() -> str:
    return next(each for each in MACHINES if each != os.uname().machine)


def test_both_libraries_come_in_the_order_to_load_them() -> None:
    libraries = runtime_libraries(os.uname().machine)
    assert list(libraries) == NAMES
    assert {elf_machine(content) for content in libraries.values()} == {os.uname().machine}


def test_they_come_from_the_release_that_is_installed() -> None:
    # The runtime of one release need not understand what the compiler of another writes.
    for library in LIBRARIES.values():
        name, _, pinned = library.requirement.partition("==")
        assert version(name) == pinned
        assert all(pinned in wheel for wheel, _ in library.wheels.values())


def test_nothing_of_tvm_is_imported() -> None:
    code = (
        "import os, sys; from targets.runtime_libraries import runtime_libraries as f;"
        "f(os.uname().machine); print({'tvm', 'tvm_ffi'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.usefixtures("offline", "empty_cache")
def test_without_a_network_the_error_says_what_to_do(other_machine: str) -> None:
    with pytest.raises(BadInput, match=r"cannot download .*; go online .* or .* --no-runtime$"):
        runtime_libraries(other_machine)


@pytest.mark.usefixtures("offline")
def test_a_damaged_download_is_not_used(empty_cache: Path, other_machine: str) -> None:
    empty_cache.mkdir()
    for name, library in LIBRARIES.items():
        with zipfile.ZipFile(empty_cache / library.wheels[other_machine][0], "w") as wheel:
            wheel.writestr(library.path(name), b"not the released one")
    with pytest.raises(BadInput, match="cannot download"):
        runtime_libraries(other_machine)


def test_another_wheel_of_that_name_is_refused(
    empty_cache: Path, other_machine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = LIBRARIES[NAMES[0]]
    name, _, number = library.requirement.partition("==")
    information = f"{name.replace('-', '_')}-{number}.dist-info"
    with zipfile.ZipFile(tmp_path / library.wheels[other_machine][0], "w") as wheel:
        wheel.writestr(library.path(NAMES[0]), b"not the released one")
        wheel.writestr(
            f"{information}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {number}\n"
        )
        wheel.writestr(f"{information}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: false\n")
        wheel.writestr(f"{information}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(BadInput, match=f"another {library.requirement} for {other_machine}"):
        runtime_libraries(other_machine)
    assert list(empty_cache.iterdir()) == []


@pytest.mark.usefixtures("empty_cache")
@pytest.mark.parametrize("machine", ["riscv64", "", "x86-64", "../aarch64"])
def test_an_unknown_machine_is_refused(machine: str) -> None:
    with pytest.raises(BadInput, match="there are aarch64 and x86_64"):
        runtime_libraries(machine)
