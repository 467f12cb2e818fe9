"""Files in and out: an input must be a readable file, an output appears only when complete."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edge_passd.errors import BadInput


def require_file(path: Path, what: str) -> None:
    """Raise BadInput unless `path` is a readable file with something in it.

    what: it should be, with its article.
    """
    if not path.exists():
        raise BadInput(f"no such file: {path}; give {what}")
    if not path.is_file():
        raise BadInput(f"{path} is not a file; give {what}")
    if not os.access(path, os.R_OK):
        raise BadInput(f"{path}: no permission to read it")
    if path.stat().st_size == 0:
        raise BadInput(f"{path} is empty (0 bytes); give {what}")


def read_json(path: Path, what: str = "a JSON file") -> dict[str, Any]:
    """The JSON object in a file; BadInput if it (`what` it should be) is missing or broken."""
    require_file(path, what)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path}: not valid UTF-8 JSON ({error}); write the file again") from error
    if not isinstance(content, dict):
        raise BadInput(f"{path}: must be a JSON object; give {what}")
    return content


def require_writable(path: Path) -> None:
    """Raise BadInput unless a file can be written at `path`; folders that lack will be made."""
    if path.is_dir():
        raise BadInput(f"{path} is a folder; name a file")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir():
        raise BadInput(f"{path}: {folder.name} is not a folder")
    if not os.access(folder, os.W_OK):
        raise BadInput(f"{path}: no permission to write in {folder}")


def partial(path: Path) -> Path:
    """The hidden name beside `path` that an unfinished output carries; its suffix stays."""
    return path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")


def discard_partials(folder: Path) -> None:
    """Remove what killed writers left unfinished in a folder that nobody else writes to."""
    for path in folder.glob(".*.partial.*"):
        path.unlink(missing_ok=True)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it becomes `path` on success and vanishes otherwise.

    Creates the folders above `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = partial(path)
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Give an OSError from within the name of the file it concerns: a full disk names none."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
