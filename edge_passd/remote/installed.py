"""What an installation of edge-passd holds, and what it lacks.

Here it is a module. On a board its text is run by the Python in question, whatever is installed
there, so it takes nothing but the standard library.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("edge_passd", "quant", "targets")


def package_files() -> dict[str, Path]:
    """The files of the packages by their name in a wheel, sorted; empty where none is installed."""
    found = {}
    for package in PACKAGES:
        spec = find_spec(package)
        for folder in (spec and spec.submodule_search_locations) or ():
            for path in Path(folder).rglob("*"):
                inside = path.relative_to(folder)
                if path.is_file() and not _is_left_over(inside):
                    found[f"{package}/{inside.as_posix()}"] = path
    return dict(sorted(found.items()))


def files_digest(files: dict[str, Path]) -> str:
    """Hexadecimal digits that differ for other names or content."""
    content = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def missing(requirements: list[dict]) -> list[str]:
    """Those that are not fulfilled; each is what `requirements.Requirement.to_dict` gives."""
    return [each["text"] for each in requirements if not _is_there(**each)]


def _is_there(text: str, name: str, modules: list[str], least: str) -> bool:
    """A system's own OpenCV has no entry among the distributions, so modules count as well."""
    for distribution in metadata.distributions(name=name):
        return _numbers(distribution.version) >= _numbers(least)
    return any(
        find_spec(module)
        and _numbers(str(getattr(import_module(module), "__version__", "0"))) >= _numbers(least)
        for module in modules
    )


def _numbers(version: str) -> list[int]:
    release = re.match(r"\d+(\.\d+)*", version)
    return [int(part) for part in release[0].split(".")] if release else []


def _is_left_over(inside: Path) -> bool:
    """Whether Python, an editor or a killed program put the file there."""
    hidden = any(part.startswith(".") for part in inside.parts)
    return hidden or "__pycache__" in inside.parts or inside.suffix == ".pyc"


if __name__ == "__main__":
    answer = {
        "digest": files_digest(package_files()),
        "missing": missing(json.loads(sys.argv[1])),
    }
    print(json.dumps(answer))
