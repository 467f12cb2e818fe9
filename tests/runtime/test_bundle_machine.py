from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fake_bundles import TARGETS, elf

from edge_passd.bundle.machine import (
    Machine,
    check_machine,
    elf_machine,
    parse_cpuinfo,
    this_machine,
)
from edge_passd.errors import BadInput

PI_5 = """\
processor\t: 0
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm aes crc32 atomics asimddp
CPU implementer\t: 0x41
CPU part\t: 0xd0b

processor\t: 1
Features\t: fp asimd evtstrm aes crc32 atomics asimddp

Model\t\t: Raspberry Pi 5 Model B Rev 1.0
"""
# Two kinds of cores: only the big ones have the dot product.
BIG_LITTLE = PI_5.replace("atomics asimddp\n\n", "atomics\n\n", 1)
PC = """\
processor\t: 0
vendor_id\t: AuthenticAMD
model name\t: AMD EPYC 9B14
flags\t\t: fpu sse4_2 avx2 fma
bugs\t\t: spectre_v1
"""


def board(cpuinfo: str = PI_5) -> Machine:
    return Machine("Linux", "aarch64", 64, *parse_cpuinfo(cpuinfo))


@pytest.mark.parametrize(
    ("text", "name", "some", "none"),
    [
        (PI_5, "Raspberry Pi 5 Model B Rev 1.0", {"asimd", "asimddp"}, {"avx2"}),
        (BIG_LITTLE, "Raspberry Pi 5 Model B Rev 1.0", {"asimd"}, {"asimddp"}),
        (PC, "AMD EPYC 9B14", {"avx2", "fma"}, {"spectre_v1", "flags"}),
    ],
    ids=["arm", "two kinds of cores", "x86"],
)
def test_features_are_what_every_core_has(
    text: str, name: str, some: set[str], none: set[str]
) -> None:
    found, features = parse_cpuinfo(text)
    assert found == name
    assert features is not None
    assert some <= features
    assert not none & features


@pytest.mark.parametrize("text", ["", "\n\n", "no colon", "processor : 0\n"])
def test_a_description_without_features_is_no_list_of_none(text: str) -> None:
    assert parse_cpuinfo(text)[1] is None


def test_this_machine_reads_the_description_or_says_that_it_cannot(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(PI_5)
    assert this_machine(tmp_path / "cpuinfo").features == parse_cpuinfo(PI_5)[1]
    assert this_machine(tmp_path / "none").features is None


def test_a_bundle_for_this_machine_passes() -> None:
    check_machine(TARGETS["aarch64"], board(), "m.passd")
    plain = replace(TARGETS["aarch64"], features=())
    check_machine(plain, replace(board(), features=None), "m.passd")


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        (
            Machine("Linux", "x86_64", 64, *parse_cpuinfo(PC)),
            ("for Linux on aarch64 (raspberry-pi-5)", "this machine is Linux on x86_64"),
        ),
        (replace(board(), system="Darwin", machine="arm64"), ("is Darwin on arm64",)),
        (replace(board(), bits=32), ("this Python has 32 bits", "install a 64-bit system")),
        (board(BIG_LITTLE), ("needs asimd asimddp", "Raspberry Pi 5", "has asimd;", "compile the")),
        (replace(board(), features=frozenset(), cpu=""), ("processor unknown", "has none")),
        (
            replace(board(), features=None),
            ("needs asimd asimddp", "cannot be read from /proc/cpuinfo"),
        ),
    ],
    ids=["x86", "mac", "32 bits", "no dot product", "nothing", "unreadable"],
)
def test_another_machine_is_refused_with_both_named(
    machine: Machine, words: tuple[str, ...]
) -> None:
    with pytest.raises(BadInput, match=r"^m\.passd is for") as error:
        check_machine(TARGETS["aarch64"], machine, "m.passd")
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("content", "machine"),
    [
        (elf("aarch64"), "aarch64"),
        (elf("x86_64"), "x86_64"),
        (elf("x86_64")[:19], None),
        (elf("x86_64").replace(b"\x02\x01", b"\x01\x01", 1), None),
        (b"#!/bin/sh\n" * 9, None),
        (b"", None),
    ],
    ids=["aarch64", "x86_64", "cut", "32 bits", "script", "empty"],
)
def test_a_library_says_what_it_is_for(content: bytes, machine: str | None) -> None:
    assert elf_machine(content) == machine
