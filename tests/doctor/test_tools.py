"""Programs and packages of a workstation, there and absent."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import NoReturn

import pytest

from edge_passd.doctor import tools
from edge_passd.doctor.finding import BROKEN, OK, OPTIONAL, UNTRIED
from edge_passd.doctor.tools import check_extras, check_tools, extra_finding
from tests.doctor import fakes
from tests.doctor.conftest import by_name

DECLARED = [
    "numpy>=1.24",
    'absent-package>=2; extra == "live"',
    'numpy>=1; extra == "live"',
    'click[shiny]>=8; extra == "report"',
    f'rich=={version("rich")}; (sys_platform == "linux") and extra == "targets"',
    'edge-passd[report,targets]; extra == "all-of-it"',
    'rich==0.0.1; extra == "stale"',
]


@pytest.mark.parametrize(
    ("extra", "state", "says"),
    [
        ("live", OPTIONAL, "no absent-package"),
        ("report", OK, f"click {version('click')}"),
        ("targets", OK, f"rich {version('rich')}"),
        ("all-of-it", OK, f"click {version('click')}, rich {version('rich')}"),
        ("stale", BROKEN, f"rich {version('rich')} instead of 0.0.1"),
    ],
)
def test_an_extra(extra: str, state: str, says: str) -> None:
    found = extra_finding(extra, DECLARED)
    assert (found.state, found.found) == (state, says)
    assert found.cure == ("" if state == OK else f'pip install "edge-passd[{extra}]"')


def test_the_extras_of_this_installation() -> None:
    found = by_name(check_extras())
    assert {"onnxruntime", "openvino", "targets", "cuda", "quant", "report"} <= found.keys()
    assert not {"dev", "all"} & found.keys()


def test_an_edge_passd_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_: str) -> NoReturn:
        raise PackageNotFoundError

    monkeypatch.setattr(tools, "requires", unknown)
    (found,) = check_extras()
    assert (found.state, found.cure) == (OPTIONAL, "pip install .")


def test_programs_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("CXX", raising=False)
    found = by_name(check_tools(quick=True))
    assert (found["linker"].state, found["linker"].cure) == (
        OPTIONAL, "sudo apt-get install g++",
    )  # fmt: skip
    assert found["ssh"].cure == "sudo apt-get install openssh-client"
    others = {"aarch64", "x86_64"} - {platform.machine()}
    assert {f"linker, {each}" for each in others} <= found.keys()


def test_libraries_load_in_a_process_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for library in ("torch", "tvm"):
        pytest.importorskip(library)
    monkeypatch.setattr(tools, "tvm_loads", fakes.aborts)
    found = by_name(check_tools(quick=False))
    assert (found["compiler"].state, "SIGABRT" in found["compiler"].found) == (BROKEN, True)
    assert found["training"].state == OK
    assert "PyTorch" in found["training"].found
    assert by_name(check_tools(quick=True))["training"].state == UNTRIED


def test_the_linkers_are_those_of_the_compiler() -> None:
    pytest.importorskip("tvm")
    from targets import toolchain

    assert tools._CROSS == toolchain._CROSS
