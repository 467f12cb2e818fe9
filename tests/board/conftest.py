from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.board.trees import BOARDS, Tree, build

Machine = Callable[..., Path]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Builds a board's tree in a new folder; with some files changed, or without where None."""
    numbers: Iterator[int] = count()

    def make(board: str, changes: dict[str, str | None] | None = None) -> Path:
        tree: dict[str, str | None] = {**BOARDS.get(board, {}), **(changes or {})}
        kept: Tree = {path: text for path, text in tree.items() if text is not None}
        root = tmp_path / f"{next(numbers)}"
        root.mkdir()
        return build(root, kept)

    return make


@pytest.fixture
def program(tmp_path: Path) -> Callable[[Path, str, str], None]:
    """Puts a program that runs a line of shell into a machine's tree."""

    def put(root: Path, path: str, line: str) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(f"#!/bin/sh\n{line}\n")
        (root / path).chmod(0o755)

    return put
