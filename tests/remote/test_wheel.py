"""The wheel made from this installation; `test_remote` installs it."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

import edge_passd
from edge_passd.errors import BadInput
from edge_passd.remote.installed import files_digest, missing, package_files
from edge_passd.remote.requirements import requirements
from edge_passd.remote.wheel import build_wheel


def test_a_wheel_holds_this_installation_and_says_so() -> None:
    name, data = build_wheel()
    assert name == f"edge_passd-{edge_passd.__version__}-py3-none-any.whl"
    assert build_wheel() == (name, data)
    archive = zipfile.ZipFile(io.BytesIO(data))
    info = f"edge_passd-{edge_passd.__version__}.dist-info"
    lines = [line.rsplit(",", 2) for line in archive.read(f"{info}/RECORD").decode().splitlines()]
    assert [path for path, _, _ in lines] == archive.namelist()
    for path, digest, size in lines[:-1]:
        content = archive.read(path)
        wanted = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
        assert (digest, size) == (f"sha256={wanted}", str(len(content)))
    metadata = message_from_bytes(archive.read(f"{info}/METADATA"))
    assert (metadata["Name"], metadata["Version"]) == ("edge-passd", edge_passd.__version__)
    assert b"edge_passd.cli.main:main" in archive.read(f"{info}/entry_points.txt")
    assert archive.read("edge_passd/bench/cat.jpg")
    assert archive.read("quant/data/reader.py")
    assert not any("__pycache__" in path for path in archive.namelist())


def test_the_digest_knows_names_and_content(tmp_path: Path) -> None:
    files = package_files()
    digest = files_digest(files)
    changed = tmp_path / "boxes.py"
    changed.write_bytes(files["edge_passd/boxes.py"].read_bytes() + b"#")
    assert digest != files_digest({**files, "edge_passd/boxes.py": changed})
    assert digest != files_digest({**files, "edge_passd/more.py": changed})


def test_what_a_board_needs(tmp_path: Path) -> None:
    base = {"numpy", "opencv-python", "click", "rich"}
    model = Path("any.onnx")
    assert {each.name for each in requirements([(model, "auto")], False)} == {*base, "onnxruntime"}
    with_data = requirements([(model, "openvino"), (Path("x.TFLITE"), "auto")], True)
    names = {each.name for each in with_data}
    assert names == {*base, "openvino", "ai-edge-litert", "pycocotools"}
    with pytest.raises(BadInput, match="export it first"):
        requirements([(tmp_path, "auto")], False)
    with pytest.raises(BadInput, match="no engine takes it"):
        requirements([(tmp_path / "model.pt", "auto")], False)


@pytest.mark.parametrize(
    ("name", "modules", "least", "is_missing"),
    [
        ("numpy", ["numpy"], "1.24", False),
        ("numpy", ["numpy"], "1000", True),
        ("no-such-distribution", ["nowhere"], "1", True),
        ("no-such-distribution", ["nowhere", "numpy"], "1.24", False),  # as a system's OpenCV
        ("no-such-distribution", ["numpy"], "1000", True),
    ],
)
def test_a_requirement_is_a_distribution_or_a_module_new_enough(
    name: str, modules: list[str], least: str, is_missing: bool
) -> None:
    requirement = {"text": "it", "name": name, "modules": modules, "least": least}
    assert missing([requirement]) == ["it"] * is_missing
