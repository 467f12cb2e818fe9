"""What tests of several rooms share."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import data


@pytest.fixture(scope="session")
def photo() -> np.ndarray:
    """(300, 451, 3) uint8 BGR: a cat."""
    return np.ascontiguousarray(data.chelsea()[..., ::-1])
