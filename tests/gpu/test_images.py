"""The images of a bundle: what they are, that they are checked, and that JetPack reads the PTX."""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_passd.bundle.plan import Image
from edge_passd.errors import BadInput
from targets.cuda import BOARDS
from targets.gpu import nvrtc
from targets.gpu.cubin import read_cubin, relabelled
from targets.gpu.images import Built, build_images, check_image
from targets.gpu.nvrtc import compile_cuda
from tests.gpu.kernels import KERNELS, NOVEL, SOURCE, needs_nvrtc, refusal

pytestmark = needs_nvrtc


@cache
def built(board: str) -> tuple[Built, ...]:
    return build_images(SOURCE, BOARDS[board], KERNELS)


def image_of(board: str, architecture: str) -> Built:
    return next(each for each in built(board) if each.image.architecture == architecture)


# architecture, toolkit, PTX version
@pytest.mark.parametrize(
    ("board", "expected"),
    [
        ("jetson-nano", [("sm_53", "11.8", None), ("compute_53", "11.8", "6.5")]),
        (
            "jetson",
            [("sm_72", "11.8", None), ("sm_87", "11.8", None), ("compute_72", "11.8", "6.5")],
        ),
        ("jetson-agx-orin", [("sm_87", "11.8", None), ("compute_87", "11.8", "7.4")]),
        ("jetson-thor", [("sm_110", "13.0", None), ("compute_110", "13.0", "9.0")]),
        ("desktop-sm90", [("sm_90", "11.8", None), ("compute_90", "11.8", "7.8")]),
        (
            "desktop",
            [
                ("sm_80", "11.8", None), ("sm_86", "11.8", None), ("sm_89", "11.8", None),
                ("sm_90", "11.8", None), ("sm_120", "13.0", None), ("compute_80", "11.8", "7.4"),
            ],
        ),
    ],
)  # fmt: skip
def test_the_images_of_a_board(board: str, expected: list[tuple[str, str, str | None]]) -> None:
    images = built(board)
    found = [(e.image.architecture, e.image.toolkit, e.image.ptx_version) for e in images]
    assert found == expected
    for each in images:
        name = each.image.architecture
        if each.image.ptx_version is None:
            assert each.image.file == f"kernels.{name}.cubin"
            assert read_cubin(each.content).architecture == name
            assert {*read_cubin(each.content).code} == {*KERNELS}
            assert {resources.kernel for resources in each.resources} == {*KERNELS}
        else:
            assert each.image.file == f"kernels.{name}.ptx"
            assert f"\n.version {each.image.ptx_version}\n" in each.content.decode("ascii")
            assert each.resources == ()


@pytest.mark.parametrize("board", ["jetson-nano", "jetson-orin-nano", "jetson", "desktop-sm90"])
def test_nvidias_assembler_takes_the_ptx_in_the_old_version(board: str, tmp_path: Path) -> None:
    assert refusal(built(board)[-1].content, tmp_path) == ""


@pytest.mark.parametrize(("architecture", "version"), [("72", "6.5"), ("87", "7.4")])
def test_the_assembler_refuses_an_instruction_newer_than_the_version(
    architecture: str, version: str, tmp_path: Path
) -> None:
    """So the test above can fail. The compiler itself writes the version that this needs."""
    as_written = compile_cuda(NOVEL, f"compute_{architecture}").content
    assert refusal(as_written, tmp_path) == ""
    board = replace(BOARDS["jetson"], architectures=(f"sm_{architecture}",))
    lowered = build_images(NOVEL, board, ["novel"])[-1]
    assert lowered.image.ptx_version == version
    assert "requires PTX ISA .version 7.6 or later" in refusal(lowered.content, tmp_path)


def test_ptx_is_not_lowered_beyond_what_knows_the_gpu(tmp_path: Path) -> None:
    for board, older in (("jetson-orin-nano", b"7.3"), ("desktop-sm90", b"7.7")):
        ptx = re.sub(rb"\.version \S+", b".version " + older, built(board)[-1].content, count=1)
        assert "does not support .target" in refusal(ptx, tmp_path)


@pytest.mark.parametrize("architecture", ["sm_72", "compute_72"])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no "),
        (SOURCE.encode(), "no "),
        (Path(sys.executable).read_bytes()[:100_000], "no "),
        (b"\x7fELF\x02\x01".ljust(18, b"\0") + b"\xbe\0", "no "),
        (b"\x7fELF\x02\x01".ljust(18, b"\0") + b"\xbe\0" + bytes(200), "no "),
    ],
    ids=["nothing", "source", "program", "no more than a begin", "empty tables"],
)
def test_what_is_neither_machine_code_nor_ptx(
    content: bytes, reason: str, architecture: str
) -> None:
    image = image_of("jetson", architecture).image
    with pytest.raises(RuntimeError, match=rf"^{re.escape(image.file)}: {reason}"):
        check_image(image, content, KERNELS)


@pytest.mark.parametrize(
    ("promised", "given", "reason"),
    [
        ("sm_87", "sm_72", "for sm_72, not sm_87"),
        ("sm_72", "sm_87", "for sm_87, not sm_72"),
        ("sm_87", "compute_72", "no machine code"),
        ("compute_72", "sm_72", "no PTX, not compute_72 in PTX 6.5"),
    ],
)
def test_one_image_in_the_place_of_another(promised: str, given: str, reason: str) -> None:
    image, content = image_of("jetson", promised).image, image_of("jetson", given).content
    with pytest.raises(RuntimeError, match=reason):
        check_image(image, content, KERNELS)


def test_ptx_that_is_as_the_compiler_wrote_it_or_for_another_gpu() -> None:
    image = image_of("jetson", "compute_72").image
    with pytest.raises(RuntimeError, match=r"compute_72 in PTX 7\.8, not compute_72 in PTX 6\.5"):
        check_image(image, compile_cuda(SOURCE, "compute_72").content, KERNELS)
    with pytest.raises(RuntimeError, match=r"compute_53 in PTX 6\.5, not compute_72 in PTX 6\.5"):
        check_image(image, built("jetson-nano")[-1].content, KERNELS)
    with pytest.raises(RuntimeError, match="not compute_72 in PTX"):
        check_image(image, image_of("jetson", "compute_72").content + b"\0", KERNELS)


@pytest.mark.parametrize("board", ["jetson", "jetson-thor"])
def test_every_kernel_must_be_there(board: str) -> None:
    for each in built(board):
        check_image(each.image, each.content, KERNELS)
        with pytest.raises(RuntimeError, match=r"without ghost, products_2;"):
            check_image(each.image, each.content, [*KERNELS, "products_2", "ghost"])
    with pytest.raises(RuntimeError, match="without ghost"):
        build_images(SOURCE, BOARDS[board], ["ghost"])


def test_a_compiler_that_is_missing_is_said_before_anything_is_compiled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = nvrtc.WHEELS
    monkeypatch.setattr(nvrtc, "WHEELS", (first, replace(second, path="absent")))
    with pytest.raises(BadInput, match=r"^sm_120 needs CUDA 13's compiler"):
        build_images("no source at all", BOARDS["desktop"], KERNELS)


@given(st.data(), st.sampled_from(["sm_72", "sm_87"]))
def test_a_cubin_that_is_cut_short_is_refused(data: st.DataObject, architecture: str) -> None:
    each = image_of("jetson", architecture)
    length = data.draw(st.integers(0, len(each.content) - 1))
    with pytest.raises(RuntimeError, match="no machine code"):
        check_image(each.image, each.content[:length], KERNELS)


@given(st.data(), st.sampled_from(["sm_110", "compute_110"]))
def test_of_a_damaged_image_nothing_but_a_refusal_comes(
    data: st.DataObject, architecture: str
) -> None:
    each = image_of("jetson-thor", architecture)
    content = bytearray(each.content)
    for _ in range(data.draw(st.integers(1, 4))):
        place = st.integers(0, 63) | st.integers(0, len(content) - 1)
        content[data.draw(place)] = data.draw(st.integers(0, 255))
    with suppress(RuntimeError):
        check_image(each.image, bytes(content), KERNELS)


@given(st.binary())
def test_no_bytes_are_an_image(content: bytes) -> None:
    for image in (
        Image("a.cubin", "sm_87", "11.8", None), Image("a.ptx", "compute_87", "11.8", "7.4")
    ):  # fmt: skip
        with pytest.raises(RuntimeError, match=r"^a\."):
            check_image(image, content, KERNELS)


def test_a_cubin_under_another_label_is_for_another_gpu() -> None:
    content = image_of("jetson", "sm_72").content
    assert read_cubin(relabelled(content, 75)).architecture == "sm_75"
    assert relabelled(relabelled(content, 75), 72) == content
