"""Programs that tests talk to; `scripts/setup_programs` installs them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest


def require_program(name: str) -> Path:
    """Where the program is. Skips the test without it; under CI that is a failure."""
    # sshd and mosquitto are in a folder that is on the path of root alone.
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))
    if found is None:
        lacks(f"no {name} here; scripts/setup_programs installs it")
    return Path(found)


def lacks(reason: str) -> NoReturn:
    """Skip the test; under CI, fail it."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    raise AssertionError  # neither returns
