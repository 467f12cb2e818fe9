"""What the machine code says: that tensor cores are used where they are to be."""

from __future__ import annotations

import shutil
from collections import Counter

import pytest

from targets.gpu import sass
from targets.gpu.nvrtc import compile_cuda
from targets.gpu.sass import disassemble, tensor_instructions
from tests.gpu.kernels import SOURCE, needs_nvrtc

pytestmark = needs_nvrtc


@pytest.mark.parametrize("architecture", ["sm_72", "sm_80", "sm_87", "sm_90", "sm_110", "sm_120"])
def test_the_products_are_taken_on_tensor_cores(architecture: str) -> None:
    text = disassemble(compile_cuda(SOURCE, architecture).content)
    assert text is not None
    found = tensor_instructions(text, "products")
    assert {*found} == {"IMMA"}
    assert found["IMMA"] in (2, 4)  # of 16x16 products of length 16, 8x8 or 16x8 at once
    assert tensor_instructions(text, "mirror") == Counter(FFMA=1)


def test_maxwell_takes_an_older_disassembler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert disassemble(compile_cuda(SOURCE, "sm_53").content) is None


def test_without_a_disassembler_there_is_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(sass, "find_spec", lambda _: None)
    assert disassemble(compile_cuda(SOURCE, "sm_87").content) is None


def test_a_kernel_that_is_not_there() -> None:
    text = disassemble(compile_cuda(SOURCE, "sm_87").content)
    assert text is not None
    with pytest.raises(ValueError, match=r"no kernel 'ghost'; there are .*products"):
        tensor_instructions(text, "ghost")


@pytest.mark.parametrize("content", [b"", SOURCE.encode(), b"\x7fELF"])
def test_what_is_no_cubin(content: bytes) -> None:
    with pytest.raises(ValueError, match="no ELF file"):
        disassemble(content)


def test_predicated_instructions_count_and_operands_do_not() -> None:
    text = (
        "\t.section\t.text.a\n.text.a:\n"
        "        /*0000*/                   MOV R1, c[0x0][0x28] ;\n"
        "        /*0010*/               @P0 FFMA R1, R2, R3, R4 ;\n"
        "        /*0020*/              @!PT FFMA.FTZ R1, R2, R3, R4 ;\n"
        "        /*0030*/              @UP1 HMMA.16816.F32 R4, R8, R10, RZ ;\n"
        "        /*0040*/                   IDP.4A.S8.S8 R6, R0, R5, R6 ;\n"
        "\t.section\t.text.b\n.text.b:\n"
        "        /*0000*/                   IMMA.8816.S8.S8 R8, R0.ROW, R5.COL, RZ ;\n"
    )
    assert tensor_instructions(text, "a") == Counter(FFMA=2, HMMA=1, IDP=1)
    assert tensor_instructions(text, "b") == Counter(IMMA=1)
