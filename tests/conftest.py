"""What tests of several rooms share."""

from __future__ import annotations

import os
from collections.abc import Generator

import numpy as np
import pytest
from skimage import data


@pytest.fixture(scope="session")
def photo() -> np.ndarray:
    """(300, 451, 3) uint8 BGR: a cat."""
    return np.ascontiguousarray(data.chelsea()[..., ::-1])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In continuous integration everything is installed, so a skipped test is a failure."""
    report = yield
    if report.skipped and os.environ.get("CI"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report
