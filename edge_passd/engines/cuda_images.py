"""Which of a bundle's images a GPU runs, and why none if it is none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge_passd.bundle.manifest import Manifest
from edge_passd.bundle.plan import Image
from edge_passd.engines.cuda_driver import GpuInfo, capability_name, version_name
from edge_passd.errors import BadInput

# NVIDIA promises that machine code runs on later GPUs of a generation for desktop ones only: these
# run their own, and nothing else runs it.
JETSONS = ((5, 3), (6, 2), (7, 2), (8, 7), (10, 1), (11, 0))

# The CUDA release of the driver of each JetPack, oldest first.
JETPACKS = {"4.6": (10, 2), "5": (11, 4), "6.0": (12, 2), "6.1": (12, 6), "7": (13, 0)}


def choose_image(
    images: Sequence[Image], capability: tuple[int, int], driver: tuple[int, int]
) -> Image | None:
    """The best one for a GPU of that compute capability whose driver is of that CUDA release.

    Machine code for it, or else for the nearest GPU before it; or else PTX, the newest that it can
    be compiled from. None if nothing fits.
    """
    fitting = [each for each in images if each.cuda <= driver and runs_on(each, capability)]
    return max(fitting, key=lambda each: (each.ptx_version is None, each.capability), default=None)


def runs_on(image: Image, capability: tuple[int, int]) -> bool:
    """Whether a GPU of that compute capability runs it, if its driver is new enough."""
    if image.ptx_version is not None:
        return image.capability <= capability
    if image.capability in JETSONS or capability in JETSONS:
        return image.capability == capability
    return image.capability[0] == capability[0] and image.capability <= capability


def refusal(path: Path, manifest: Manifest, images: Sequence[Image], gpu: GpuInfo) -> BadInput:
    """The error for a bundle of which nothing fits, with both sides named."""
    here = f"this GPU ({gpu.name}, driver for CUDA {version_name(gpu.driver)})"
    compile_again = "compile the model for it with `edge-passd compile --target cuda --board ...`"
    needed = min((each.cuda for each in images if runs_on(each, gpu.capability)), default=None)
    if needed is None:
        return BadInput(
            f"{path} is for {manifest.target.cpu} ({manifest.target.board}), {here} is "
            f"{capability_name(gpu.capability)}; {compile_again}"
        )
    jetpack = next((name for name, cuda in JETPACKS.items() if cuda >= needed), None)
    on_jetson = f", on a Jetson JetPack {jetpack}," if jetpack else ""
    return BadInput(
        f"{path} ({manifest.target.cpu}) needs a driver for CUDA {version_name(needed)}"
        f"{on_jetson} or newer, {here} has an older one; update it, or {compile_again}"
    )
