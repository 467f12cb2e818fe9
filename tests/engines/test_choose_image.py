"""Which image a GPU gets: a table, and what holds for any set of images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_passd.bundle.plan import PTX_VERSIONS, Image
from edge_passd.engines.cuda_driver import GpuInfo
from edge_passd.engines.cuda_images import JETSONS, choose_image, refusal, runs_on
from tests.engines.toy_bundle import MANIFEST


def cubin(number: int, toolkit: str = "11.8") -> Image:
    return Image(f"kernels.sm_{number}.cubin", f"sm_{number}", toolkit, None)


def ptx(number: int, version: str = "7.4") -> Image:
    return Image(f"kernels.compute_{number}.ptx", f"compute_{number}", "11.8", version)


NANO = (cubin(53), ptx(53, "6.5"))
JETSON = (cubin(72), cubin(87), ptx(72, "6.5"))
DESKTOP = (*map(cubin, (80, 86, 89, 90)), cubin(120, "13.0"), ptx(80))
JETPACK_4, JETPACK_5, JETPACK_6, NEWEST = (10, 2), (11, 4), (12, 6), (13, 0)


@pytest.mark.parametrize(
    ("images", "capability", "driver", "wanted"),
    [
        (JETSON, (8, 7), JETPACK_5, "sm_87"),
        (JETSON, (8, 7), JETPACK_6, "sm_87"),
        (JETSON, (7, 2), JETPACK_5, "sm_72"),
        (JETSON, (7, 2), JETPACK_4, "compute_72"),
        (NANO, (5, 3), JETPACK_4, "compute_53"),
        (JETSON, (5, 3), JETPACK_4, None),
        (JETSON, (11, 0), NEWEST, "compute_72"),
        (JETSON, (8, 9), JETPACK_6, "compute_72"),
        (DESKTOP, (8, 6), JETPACK_6, "sm_86"),
        (DESKTOP, (8, 7), JETPACK_6, "compute_80"),
        (DESKTOP, (9, 0), (11, 0), "sm_90"),
        (DESKTOP, (12, 0), NEWEST, "sm_120"),
        (DESKTOP, (12, 1), NEWEST, "sm_120"),
        (DESKTOP, (12, 0), JETPACK_6, "compute_80"),
        (DESKTOP, (10, 0), NEWEST, "compute_80"),
        (DESKTOP, (7, 5), NEWEST, None),
        ((cubin(80),), (8, 6), JETPACK_6, "sm_80"),
        ((cubin(80), cubin(86)), (8, 9), JETPACK_6, "sm_86"),
        ((cubin(86),), (8, 0), JETPACK_6, None),
        ((cubin(80),), (9, 0), JETPACK_6, None),
        ((ptx(80, "7.8"),), (8, 7), JETPACK_5, None),
        ((ptx(80, "7.0"), ptx(86)), (9, 0), (11, 4), "compute_86"),
        ((ptx(80, "7.0"), ptx(86)), (9, 0), (11, 3), "compute_80"),
        ((), (8, 7), NEWEST, None),
    ],
)
def test_a_gpu_gets_the_image_that_suits_it_best(
    images: tuple[Image, ...],
    capability: tuple[int, int],
    driver: tuple[int, int],
    wanted: str | None,
) -> None:
    for order in (images, images[::-1]):
        chosen = choose_image(order, capability, driver)
        assert (chosen and chosen.architecture) == wanted


CAPABILITIES = st.sampled_from([(5, 3), (7, 2), (7, 5), (8, 0), (8, 6), (8, 7), (8, 9), (9, 0)])
DRIVERS = st.sampled_from(sorted(PTX_VERSIONS.values()))
IMAGES = st.lists(
    st.builds(
        cubin, st.sampled_from([53, 72, 75, 80, 86, 87, 90]), st.sampled_from(["11.8", "13.0"])
    )
    | st.builds(ptx, st.sampled_from([53, 72, 80, 87]), st.sampled_from(sorted(PTX_VERSIONS))),
    max_size=6,
)


@given(IMAGES, CAPABILITIES, DRIVERS)
def test_what_is_chosen_runs_and_nothing_that_runs_is_missed(
    images: list[Image], capability: tuple[int, int], driver: tuple[int, int]
) -> None:
    chosen = choose_image(images, capability, driver)
    fitting = [each for each in images if runs_on(each, capability) and each.cuda <= driver]
    assert (chosen is None) == (not fitting)
    if chosen:
        assert chosen in fitting
        own = [each for each in fitting if not each.ptx_version and each.capability == capability]
        assert not own or chosen in own
        assert chosen.ptx_version is None or all(each.ptx_version for each in fitting)


@given(IMAGES, CAPABILITIES, DRIVERS, DRIVERS)
def test_a_newer_driver_takes_all_that_an_older_one_takes(
    images: list[Image],
    capability: tuple[int, int],
    one: tuple[int, int],
    other: tuple[int, int],
) -> None:
    old, new = sorted((one, other))
    if choose_image(images, capability, old):
        assert choose_image(images, capability, new)


def test_machine_code_of_a_jetson_and_of_a_desktop_never_mix() -> None:
    for capability in JETSONS:
        for number in (53, 62, 70, 72, 75, 80, 86, 87, 89, 100, 110):
            image = cubin(number, "13.0")
            assert runs_on(image, capability) == (image.capability == capability)


XAVIER = GpuInfo(0, "Xavier", (7, 2), JETPACK_5)


@pytest.mark.parametrize(
    ("images", "gpu", "wanted"),
    [
        (
            (cubin(87),),
            XAVIER,
            "m.passd is for sm_87 (jetson-orin-nano), this GPU (Xavier, driver for CUDA 11.4) is "
            "sm_72; compile the model for it with `edge-passd compile --target cuda --board ...`",
        ),
        (
            (cubin(72, "13.0"), ptx(72, "8.0")),
            XAVIER,
            "m.passd (sm_72+compute_72) needs a driver for CUDA 12.0, on a Jetson JetPack 6.0, or "
            "newer, this GPU (Xavier, driver for CUDA 11.4) has an older one; update it, or "
            "compile the model for it with `edge-passd compile --target cuda --board ...`",
        ),
        (
            (cubin(72),),
            replace(XAVIER, driver=JETPACK_4),
            "m.passd (sm_72) needs a driver for CUDA 11.0, on a Jetson JetPack 5, or newer, this "
            "GPU (Xavier, driver for CUDA 10.2) has an older one; update it, or compile the model "
            "for it with `edge-passd compile --target cuda --board ...`",
        ),
    ],
    ids=["another GPU", "old driver, PTX", "old driver, cubin"],
)
def test_a_refusal_names_both_sides(images: tuple[Image, ...], gpu: GpuInfo, wanted: str) -> None:
    target = replace(MANIFEST.target, cpu="+".join(each.architecture for each in images))
    manifest = replace(MANIFEST, target=target)
    assert choose_image(images, gpu.capability, gpu.driver) is None
    assert str(refusal(Path("m.passd"), manifest, images, gpu)) == wanted
