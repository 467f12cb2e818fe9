"""What compiling, training and measuring on boards need: programs, packages, a GPU."""

from __future__ import annotations

import os
import platform
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from importlib.util import find_spec

from edge_passd.board.sysfs import printable
from edge_passd.doctor.child import call
from edge_passd.doctor.finding import BROKEN, OK, OPTIONAL, UNTRIED, Finding

LIMIT_S = 30.0
PACKAGE = "edge-passd"
# For working on edge-passd, of other extras alone, and for boards that lack another's wheels.
_OTHER_EXTRAS = ("dev", "all", "tflite-runtime")

# By machine: the compiler that links for it from another one, and Debian's package.
_CROSS = {
    "aarch64": ("aarch64-linux-gnu-g++", "g++-aarch64-linux-gnu"),
    "x86_64": ("x86_64-linux-gnu-g++", "g++-x86-64-linux-gnu"),
}
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[([^\]]*)\])?\s*(?:==\s*([^\s;,]+))?")
_EXTRA = re.compile(r"""extra == ["']([\w-]+)["']""")


def check_tools(quick: bool) -> Iterator[Finding]:
    """quick: without loading TVM and PyTorch."""
    yield _program("linker", os.environ.get("CXX", "g++"), "g++", "to compile for this machine")
    for machine, (command, package) in _CROSS.items():
        if machine != platform.machine():
            yield _program(f"linker, {machine}", command, package, f"to compile for {machine}")
    yield _program("ssh", "ssh", "openssh-client", "for bench --remote")
    yield _library("compiler", "tvm", "apache-tvm", "TVM", "targets", None if quick else tvm_loads)
    yield _library("training", "torch", "torch", "PyTorch", "quant", None if quick else torch_gpus)


def check_extras() -> Iterator[Finding]:
    """The extras of this package: whether all that each of them brings is there."""
    try:
        declared, extras = requires(PACKAGE) or [], metadata(PACKAGE).get_all("Provides-Extra", [])
    except PackageNotFoundError:
        yield Finding("extras", OPTIONAL, f"{PACKAGE} is not installed", "pip install .")
        return
    for extra in extras:
        if extra not in _OTHER_EXTRAS:
            yield extra_finding(extra, declared)


def extra_finding(extra: str, declared: Sequence[str]) -> Finding:
    """declared: requirements, as a package's metadata lists them."""
    wanted = _wanted(extra, declared)
    cure = f'pip install "{PACKAGE}[{extra}]"'
    found = {name: _version(name) for name in wanted}
    absent = [name for name in wanted if found[name] is None]
    others = [
        f"{name} {found[name]} instead of {pin}"
        for name, pin in wanted.items()
        if pin and found[name] not in (None, pin)
    ]
    if others:
        return Finding(extra, BROKEN, ", ".join(others), cure)
    if absent:
        return Finding(extra, OPTIONAL, f"no {', '.join(absent)}", cure)
    return Finding(extra, OK, ", ".join(f"{name} {found[name]}" for name in wanted))


def _wanted(extra: str, declared: Sequence[str]) -> dict[str, str]:
    """Names of what an extra brings, other extras that it names included, and exact versions."""
    wanted: dict[str, str] = {}
    for line in declared:
        requirement, _, marker = line.partition(";")
        condition = _EXTRA.search(marker)
        match = _REQUIREMENT.match(requirement.strip())
        if match is None or condition is None or condition[1] != extra:
            continue
        name, nested, pin = match.groups()
        if name == PACKAGE:
            for each in nested.split(","):
                wanted |= _wanted(each.strip(), declared)
        else:
            wanted[name] = pin or ""
    return wanted


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _program(name: str, command: str, package: str, use: str) -> Finding:
    path = shutil.which(command)
    if path is None:
        return Finding(name, OPTIONAL, f"no {command}, {use}", f"sudo apt-get install {package}")
    return Finding(name, OK, f"{path}, {use}")


def tvm_loads() -> str:
    """For a child process: beside another tvm-ffi than its own it ends in a segmentation fault."""
    import tvm

    return f"loads, LLVM {'yes' if tvm.runtime.enabled('llvm') else 'no'}"


def torch_gpus() -> str:
    """The GPUs that PyTorch can train on."""
    import torch

    names = [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())]
    return f"on {', '.join(names) or 'the processor, without a GPU'}"


def _library(
    name: str, module: str, package: str, title: str, extra: str, trial: Callable[[], str] | None
) -> Finding:
    """trial: for a child process; None tries nothing."""
    cure = f'pip install "{PACKAGE}[{extra}]"'
    if find_spec(module) is None:
        return Finding(name, OPTIONAL, f"no {title}", cure)
    found = f"{title} {_version(package) or 'of unknown version'}"
    if trial is None:
        return Finding(name, UNTRIED, found)
    outcome = call(trial, limit_s=LIMIT_S)
    if outcome.problem:
        cure = cure.replace("install", "install --force-reinstall")
        return Finding(name, BROKEN, f"{found}: {printable(outcome.problem)}", cure)
    return Finding(name, OK, f"{found}, {outcome.value}")
