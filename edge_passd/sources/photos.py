"""Photos as a source: one, or many of which a few may be broken."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from edge_passd.errors import BadInput
from edge_passd.photo import read_photo
from edge_passd.sources.source import Frame, Source


class Photo(Source):
    """A single photo; iterating raises BadInput if it cannot be read."""

    length = 1

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self.path = path
        self.files = frozenset({path.resolve()})

    def __iter__(self) -> Iterator[Frame]:
        yield Frame(read_photo(self.path), self.name, 0, 0.0)


class Photos(Source):
    """Photos of a folder or a pattern; one that cannot be read is reported and passed over.

    root: the absolute folder that holds them all. report: takes one line for each unreadable photo.
    """

    def __init__(
        self, name: str, paths: Sequence[Path], root: Path, report: Callable[[str], object]
    ) -> None:
        self.name = name
        self.paths = paths
        self.root = root
        self.length = len(paths)
        self.files = frozenset(path.resolve() for path in paths)
        self._report = report
        self._unreadable = 0

    def __iter__(self) -> Iterator[Frame]:
        for index, path in enumerate(self.paths):
            try:
                image = read_photo(path)
            except BadInput as error:
                self._unreadable += 1
                self._report(str(error))
                continue
            yield Frame(image, str(path), index, 0.0)

    def verdict(self) -> str | None:
        if not self._unreadable:
            return None
        return f"{self.name}: {self._unreadable} of {self.length} photos could not be read"
