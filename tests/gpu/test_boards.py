"""The presets of target cuda, and how one is chosen."""

from __future__ import annotations

import pytest

from edge_passd.engines.cuda_driver import GpuInfo
from edge_passd.errors import BadInput
from targets import cuda
from targets.cuda import BOARDS, choose_board, native
from targets.gpu.board import number_of
from targets.gpu.nvrtc import find_toolkit
from tests.gpu.kernels import needs_nvrtc

ORDINARY = GpuInfo(0, "Orin", (8, 7), (12, 6))


@pytest.mark.parametrize(
    ("name", "architectures", "ptx", "family"),
    [
        ("jetson-nano", "sm_53", "compute_53", "simt"),
        ("desktop-sm61", "sm_61", "compute_61", "dot"),
        ("jetson-xavier-nx", "sm_72", "compute_72", "tensor"),
        ("jetson-orin-nano", "sm_87", "compute_87", "tensor"),
        ("jetson-orin-nx", "sm_87", "compute_87", "tensor"),
        ("jetson-agx-orin", "sm_87", "compute_87", "tensor"),
        ("jetson-thor", "sm_110", "compute_110", "tensor"),
        ("jetson", "sm_72 sm_87", "compute_72", "tensor"),
        ("desktop-sm120", "sm_120", "compute_120", "tensor"),
        ("desktop", "sm_80 sm_86 sm_89 sm_90 sm_120", "compute_80", "tensor"),
    ],
)
def test_what_a_board_gets(name: str, architectures: str, ptx: str, family: str) -> None:
    board = choose_board(name)
    assert board.name == name
    assert (" ".join(board.architectures), board.ptx, board.family) == (architectures, ptx, family)


@needs_nvrtc
@pytest.mark.parametrize("name", BOARDS)
def test_every_board_can_be_compiled_for(name: str) -> None:
    board = BOARDS[name]
    numbers = [*map(number_of, board.architectures)]
    assert numbers == sorted({*numbers})
    for architecture in (*board.architectures, board.ptx):
        assert number_of(architecture) in find_toolkit(architecture).architectures


def test_a_board_has_figures_if_it_is_one_gpu_that_is_known() -> None:
    known = {name for name, board in BOARDS.items() if board.peak}
    assert known == {name for name in BOARDS if name.startswith("jetson-")}
    for name in known:
        assert BOARDS[name].multiprocessors


def test_without_a_name_it_is_any_jetson(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "this_gpu", lambda: ORDINARY)
    assert choose_board(None).name == "jetson"


def test_an_unknown_name_lists_the_boards_of_this_target() -> None:
    with pytest.raises(BadInput) as caught:
        choose_board("raspberry-pi-5")
    line = str(caught.value)
    assert line.startswith("no board 'raspberry-pi-5'; there are jetson-nano, ")
    assert all(name in line for name in BOARDS)
    assert line.endswith(" and native")
    assert "\n" not in line


@pytest.mark.parametrize(
    ("capability", "name"),
    [
        ((5, 3), "jetson-nano"),
        ((8, 6), "desktop-sm86"),
        ((8, 7), "jetson-orin-nano"),
        ((11, 0), "jetson-thor"),
        ((12, 0), "desktop-sm120"),
    ],
)
def test_native_is_the_preset_for_this_gpu_alone(
    capability: tuple[int, int], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = GpuInfo(0, "some GPU", capability, (13, 0))
    assert native(gpu).name == name
    monkeypatch.setattr(cuda, "this_gpu", lambda: gpu)
    assert choose_board("native").name == name


@pytest.mark.parametrize("capability", [(7, 5), (12, 1)])
def test_native_refuses_a_gpu_without_a_preset(capability: tuple[int, int]) -> None:
    with pytest.raises(BadInput, match=r"^no board is for sm_\d+, this machine's GPU \(Tesla T4\)"):
        native(GpuInfo(0, "Tesla T4", capability, (13, 0)))


def test_native_without_a_driver_is_the_drivers_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_passd.engines.cuda_driver.LIBRARY", "libno-such-driver.so.1")
    with pytest.raises(BadInput, match=r"^no CUDA driver \(.*install JetPack"):
        choose_board("native")
