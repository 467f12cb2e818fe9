from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.gpu.cases.case import FAMILIES, Family
from tests.gpu.cases.convolution import case, cases, merged_cases
from tests.gpu.on_emulator import UNSHRUNK, Emulator, Library, every
from tests.targets.cases.layer import Shape


@every(cases, FAMILIES)
def test_it_is_the_definition(emulator: Emulator, family: Family, name: str) -> None:
    emulator.library(cases, family).run(name)


@every(merged_cases, FAMILIES)
def test_it_adds_the_coarser_map(emulator: Emulator, family: Family, name: str) -> None:
    emulator.library(merged_cases, family).run(name)


sides, zeros = st.integers(1, 9), st.integers(0, 255)
maps = st.lists(
    st.tuples(sides, sides, st.tuples(zeros, zeros)), min_size=1, max_size=3
)  # fmt: skip


@st.composite
def groups(draw: st.DrawFn) -> tuple[Shape, ...]:
    channels, outputs = draw(st.integers(1, 150)), draw(st.integers(1, 150))
    kernel, stride = draw(st.sampled_from([1, 3])), draw(st.sampled_from([1, 2]))
    return tuple(
        Shape(height, width, channels, outputs, kernel, stride, zeros=zeros_)
        for height, width, zeros_ in draw(maps)
    )


# In one library, for a compilation costs more than what it compiles.
@settings(max_examples=2, phases=UNSHRUNK)
@given(
    shapes=st.lists(groups(), min_size=5, max_size=5, unique=True),
    photos=st.integers(1, 3),
)
def test_any_shape(emulator: Emulator, shapes: list[tuple[Shape, ...]], photos: int) -> None:
    made = {
        f"{family}_{number}": case(family, f"any_{number}", each, photos=photos)
        for number, each in enumerate(shapes)
        for family in FAMILIES
    }
    Library(made, emulator.folder).run_all()
