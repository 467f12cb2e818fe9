"""The linker that makes a shared library of compiled functions."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from pathlib import Path

import tvm
from tvm.support import cc

from edge_passd.errors import BadInput

# By machine: Debian's name of the cross compiler, and the package that brings it.
_CROSS = {
    "aarch64": ("aarch64-linux-gnu-g++", "g++-aarch64-linux-gnu"),
    "x86_64": ("x86_64-linux-gnu-g++", "g++-x86-64-linux-gnu"),
}


def find_linker(machine: str) -> str:
    """The command that links for `machine`: $CXX or g++ for this one, else a cross compiler.

    Raises BadInput that names the package to install.
    """
    if machine == platform.machine():
        command, package = os.environ.get("CXX", "g++"), "g++"
    else:
        command, package = _CROSS[machine]
    if shutil.which(command) is None:
        raise BadInput(f"no {command}, which links for {machine}: sudo apt-get install {package}")
    return command


def link(module: tvm.runtime.Module, linker: str) -> bytes:
    """The shared library of a module."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "library.so")
        # It needs nothing of the C++ library that g++ would ask the board for.
        options = ["-shared", "-fPIC", "-s", "-nostartfiles", "-nostdlib", "-Wl,-z,noexecstack"]
        module.export_library(str(path), fcompile=cc.cross_compiler(linker, options=options))
        return path.read_bytes()
