from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
import torch

from quant.training.distributed import Processes
from tests.training import tiny


@pytest.fixture(scope="session")
def photo_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten training and three validation photos in COCO form."""
    return tiny.write_photo_set(tmp_path_factory.mktemp("photos") / "set")


@pytest.fixture(scope="session")
def alone() -> Processes:
    """One process on the processor."""
    return Processes(0, 1, torch.device("cpu"))


@pytest.fixture(scope="session")
def forks() -> Iterator[ForkServerContext]:
    """Starts processes of one thread each that have torch imported already."""
    context = multiprocessing.get_context("forkserver")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        # Importing takes most of the time of so small a training.
        context.set_forkserver_preload(
            ["quant.training.train", "torch._dynamo", "matplotlib.figure", "pycocotools.cocoeval"]
        )
        starter = context.Process(target=int)
        starter.start()
        starter.join()
        yield context
