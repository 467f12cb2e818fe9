from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.serve.fakes import View, serving


@pytest.fixture
def view() -> Iterator[View]:
    with serving() as view:
        yield view
