"""What a board must have installed to measure a model."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge_passd.engines.table import AUTO, BUNDLE, ENGINES, RUN_FOLDER, choose
from edge_passd.errors import BadInput
from edge_passd.remote.wheel import installation

_PYCOCOTOOLS = "pycocotools"  # of the extra `report`, all that measuring accuracy takes
_MODULES = {"opencv-python": ("cv2",)}  # where it is not the distribution's name
_REQUIREMENT = re.compile(r'([\w.-]+)\s*(?:>=\s*([\d.]+))?[^;]*(?:;.*extra == "([\w-]+)")?')


@dataclass(frozen=True)
class Requirement:
    """text: as pip takes it. name: of the distribution. least: the oldest version that will do.

    modules: any one of them will do in its place.
    """

    text: str
    name: str
    modules: tuple[str, ...]
    least: str

    def to_dict(self) -> dict[str, Any]:
        """For `installed.missing`."""
        return asdict(self)


def requirements(models: Iterable[tuple[Path, str]], with_data: bool) -> list[Requirement]:
    """For benchmarks of models, each with the name of an engine or "auto".

    Raises BadInput for a run folder, or a model that the engine does not take.
    """
    found = _of_extra("")
    if with_data:
        found += [each for each in _of_extra("report") if each.name == _PYCOCOTOOLS]
    for path, engine in models:
        found += _of_engine(path, engine)
    return list(dict.fromkeys(found))


def _of_engine(path: Path, engine: str) -> list[Requirement]:
    kind = RUN_FOLDER if path.is_dir() else path.suffix.lower()
    if kind == RUN_FOLDER:
        raise BadInput(
            f"--remote: {path} is a run folder, which takes PyTorch; export it first: "
            "`edge-passd export`"
        )
    if kind in BUNDLE:
        choose(path, engine)
        return []  # it brings its engine along
    takers = [row for name, row in ENGINES.items() if kind in row.takes and engine in (AUTO, name)]
    if not takers:
        which = "no engine" if engine == AUTO else f"engine {engine}"
        raise BadInput(f"{path}: {which} takes it; give an .onnx or .tflite file, or a bundle")
    modules = tuple(library for row in takers for library in row.libraries)
    return [
        Requirement(each.text, each.name, modules, each.least)
        for each in _of_extra(takers[0].extra)
    ]


def _of_extra(extra: str) -> list[Requirement]:
    """What this installation's metadata asks for under an extra, "" for without."""
    found = []
    for line in installation().requires or ():
        parts = _REQUIREMENT.fullmatch(line)
        if parts and (parts[3] or "") == extra:
            name, least = parts[1], parts[2] or "0"
            modules = _MODULES.get(name, (name.replace("-", "_"),))
            found.append(Requirement(line.partition(";")[0].strip(), name, modules, least))
    return found
