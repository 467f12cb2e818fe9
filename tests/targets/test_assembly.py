"""Instructions that no processor here may have: as the compiler writes them for those that do."""

from __future__ import annotations

import re

import pytest

from targets import x86
from targets.build import build, llvm_target
from tests.targets.cases.case import module_of
from tests.targets.cases.convolution import PLAIN, case
from tests.targets.cases.layer import Fill, extreme, narrow


def instructions(board: str, fill: Fill | None = None) -> list[tuple[str, str]]:
    """Of a convolution in int8, each with its operands."""
    preset = x86.BOARDS[board]
    made = case("convolution", PLAIN["convolution"], preset.arithmetic_of("int8"), fill)
    assembly = build(module_of([made]), llvm_target(preset)).inspect_source("asm")
    return re.findall(r"^\t(?:\{vex\}\t)?([a-z]\w*)\t(.*)$", assembly, re.MULTILINE)


def test_avx_vnni_multiplies_bytes_in_256_bits() -> None:
    found = instructions("x86-64-v3-avxvnni")
    assert sum(name == "vpdpbusd" for name, _ in found) >= 10
    for name, operands in found:
        # Nothing of AVX-512: neither its registers nor its masks.
        assert not re.search(r"%(zmm|[xy]mm(1[6-9]|2\d|3[01])|k[0-7])", operands), (name, operands)


@pytest.mark.parametrize(
    ("fill", "name", "other"),
    [
        (narrow, "vpmaddubsw", "none"),
        (extreme(255, 64), "vpmaddubsw", "none"),
        (extreme(255, 65), "vpmaddwd", "vpmaddubsw"),
        (None, "vpmaddwd", "vpmaddubsw"),
    ],
    ids=["7_bits", "64", "65", "8_bits"],
)
def test_avx2_saturates_only_where_it_cannot(fill: Fill | None, name: str, other: str) -> None:
    names = [each for each, _ in instructions("x86-64-v3", fill)]
    assert names.count(name) >= 10
    assert other not in names
