"""`compile` as a user runs it: an exported model in, one checked bundle for a board out."""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest

from edge_passd.boxes import iou
from edge_passd.bundle import read_bundle
from edge_passd.bundle.machine import elf_machine
from edge_passd.detector import Detector, default_model
from edge_passd.photo import read_photo
from tests.cli.calls import Here, bad, edge_passd

pytest.importorskip("tvm")

from targets import gate
from targets.passes import PASSES
from targets.reference import Reference
from targets.table import CPUS, native_board

HERE = native_board().kind
OTHER = next(target for target in CPUS if target != HERE)
CROSS = {"arm": "aarch64-linux-gnu-g++", "x86": "x86_64-linux-gnu-g++"}


def test_from_a_model_to_boxes_on_a_photo(here: Here, photo_file: Path, tmp_path: Path) -> None:
    """The whole way: compile, inspect, run."""
    bundle = tmp_path / "new" / "animals.passd"
    arguments = ("--target", HERE, "-o", bundle, "--photos", photo_file)
    done = edge_passd("compile", default_model(), *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    said = " ".join(done.stdout.split())
    assert "int8, 100% of the multiplications on integers" in said
    assert "100.0% of " in said
    assert said.endswith(f"next: edge-passd run {bundle} --source photo.jpg --save out.jpg")
    assert [*bundle.parent.iterdir()] == [bundle]

    status, text, _ = here.call("inspect", bundle, "--json")
    assert status == 0
    manifest = json.loads(text)
    assert manifest["target"]["board"] == native_board().name
    assert (manifest["precision"], manifest["int8_share"]) == ("int8", 1.0)
    (record,) = manifest["parity"]
    assert (record["photos"], record["ran"], record["matched"]) == (1, "the bundle", 1.0)
    assert record["detections"] > 0
    assert {"libtvm_ffi.so", "libtvm_runtime.so"} < set(manifest["files"])
    assert sum(operator["macs"] for operator in manifest["operators"]) > 1e9

    boxes, picture = tmp_path / "boxes.jsonl", tmp_path / "boxes.png"
    done = edge_passd("run", bundle, "--source", photo_file, "--json", boxes, "--save", picture)
    assert (done.returncode, done.stderr) == (0, "")
    best = json.loads(boxes.read_text())["detections"][0]
    wanted = Detector(default_model(), "onnxruntime").detect(photo_file).to_dict()[0]
    assert best["label"] == wanted["label"] == "cat"
    assert best["score"] == pytest.approx(wanted["score"], abs=0.05)
    assert iou(np.array([best["box"]]), np.array([wanted["box"]])) > 0.9
    assert read_photo(picture).shape == read_photo(photo_file).shape


def test_a_dump_shows_every_stage(
    here: Here, small_onnx: Path, photo_file: Path, tmp_path: Path
) -> None:
    bundle, dump = tmp_path / "small.passd", tmp_path / "dump"
    arguments = ("--target", HERE, "--board", "native", "--precision", "fp32", "--no-runtime")
    arguments += ("--photos", photo_file.parent, "--dump", dump, "-o", bundle)
    status, said, log = here.call("compile", small_onnx, *arguments)
    assert (status, log) == (0, "")
    assert "fp32, 0% of the multiplications on integers" in " ".join(said.split())

    passes = ["read_onnx", *(each.__name__ for each in PASSES)]
    graphs = [f"{number}-{name}.txt" for number, name in enumerate(passes)]
    assert {path.name for path in dump.iterdir()} == {
        *graphs, "module.py", "assembly.s", "plan.txt"
    }  # fmt: skip
    operators = read_bundle(bundle).manifest.operators
    last = (dump / graphs[-1]).read_text()
    assert [line.split()[1] for line in last.splitlines()] == [each["name"] for each in operators]
    assert all(each["name"] in (dump / "module.py").read_text() for each in operators)
    assert "\trun" in (dump / "assembly.s").read_text()
    size = read_bundle(bundle).manifest.plan.workspace_bytes
    assert f"workspace: {size} bytes" in (dump / "plan.txt").read_text()


def test_without_a_runtime_the_installed_one_is_used(
    here: Here, small_onnx: Path, small_bundle: Path, photo_file: Path, tmp_path: Path
) -> None:
    bundle = tmp_path / "small.PASSD"
    arguments = ("--target", HERE, "-o", bundle, "--no-runtime", "--photos", photo_file)
    status, _, log = here.call("compile", small_onnx, *arguments)
    assert (status, log) == (0, "")
    assert read_bundle(bundle).manifest.plan.runtime == ()
    assert bundle.stat().st_size < small_bundle.stat().st_size - 5e6
    found, wanted = (Detector(each).detect(photo_file) for each in (bundle, small_bundle))
    assert found.to_dict() == wanted.to_dict() != []


@pytest.mark.skipif(HERE == "arm", reason="this machine runs what is compiled for a Raspberry Pi")
@pytest.mark.skipif(shutil.which(CROSS["arm"]) is None, reason=f"no {CROSS['arm']}")
def test_a_bundle_for_another_machine(
    here: Here, small_onnx: Path, photo_file: Path, tmp_path: Path
) -> None:
    bundle = tmp_path / "pi.passd"
    arguments = ("--target", "arm", "--board", "raspberry-pi-4", "--no-runtime", "-o", bundle)
    status, said, log = here.call("compile", small_onnx, *arguments, "--photos", photo_file)
    assert (status, log) == (0, "")
    assert f"compiled for this {platform.machine()}, on 1 pictures" in " ".join(said.split())
    whole = read_bundle(bundle)
    (record,) = whole.manifest.parity
    assert whole.manifest.target.cpu == "cortex-a72"
    assert elf_machine(whole.files[whole.manifest.plan.library]) == "aarch64"
    assert record["ran"] == f"the same operators, compiled for this {platform.machine()},"
    line = here.bad("run", bundle, "--source", photo_file)
    assert "is for Linux on aarch64 (raspberry-pi-4)" in line


def test_help_shows_examples_and_every_choice(here: Here) -> None:
    status, said, _ = here.call("compile", "--help")
    assert status == 0
    assert said.count("  edge-passd compile ") >= 4
    for words in ("[arm|x86|cuda]", "[int8|fp16|fp32]", "--no-runtime", "--photos", "--dump"):
        assert words in said


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        ((), "Missing argument 'MODEL'"),
        (("m.onnx", "-o", "m.passd"), "Missing option '--target'"),
        (("m.onnx", "--target", HERE), "Missing option '-o'"),
        (("m.onnx", "--target", "npu", "-o", "m.passd"), "'npu' is not one of"),
        (("m.onnx", "--target", HERE, "-o", "m.passd", "--precision", "int4"), "'int4' is not one"),
    ],
)
def test_arguments_that_are_missing_or_wrong(
    arguments: tuple[str, ...], missing: str, here: Here
) -> None:
    status, said, log = here.call("compile", *arguments)
    assert (status, said) == (2, "")
    (line,) = (line for line in log.splitlines() if line.startswith("Error: "))
    assert missing in line


@dataclass
class Refusal:
    """Calls that must fail with one line and leave everything as it was."""

    here: Here
    folder: Path

    def __call__(self, *arguments: object) -> str:
        before = self._content()
        status, said, log = self.here.call("compile", *arguments)
        assert self._content() == before
        assert (status, said.strip()) == (2, "")
        (line,) = log.splitlines()
        return line

    def _content(self) -> dict[Path, bytes]:
        files = (path for path in self.folder.rglob("*") if path.is_file())
        return {path: path.read_bytes() for path in files}


@pytest.fixture
def refusal(here: Here, tmp_path: Path) -> Refusal:
    return Refusal(here, tmp_path)


def foreign(whole: bytes) -> bytes:
    """Without what makes it ours."""
    model = onnx.load_from_string(whole)
    del model.metadata_props[:]
    return model.SerializeToString()


def unknown_operator(whole: bytes) -> bytes:
    model = onnx.load_from_string(whole)
    node = [node for node in model.graph.node if node.op_type == "Clip"][3]
    node.op_type, node.name = "Sigmoid", "squash"
    del node.input[1:]
    return model.SerializeToString()


@pytest.mark.parametrize(
    ("name", "damage", "words"),
    [
        ("m.onnx", lambda whole: b"", "m.onnx is empty"),
        ("m.onnx", lambda whole: b"no model " * 99, "m.onnx: no valid ONNX model"),
        ("m.onnx", lambda whole: bytes(1000), "m.onnx: no valid ONNX model"),
        ("m.onnx", lambda whole: whole[: len(whole) // 2], "m.onnx: no valid ONNX model"),
        ("m.onnx", foreign, "not an edge-passd model"),
        ("m.onnx", unknown_operator, "m.onnx: node 'squash': Sigmoid"),
        ("m.tflite", lambda whole: whole, "m.tflite: compile takes an .onnx model"),
    ],
    ids=["empty", "text", "zeros", "half", "foreign", "operator", "tflite"],
)
def test_models_that_are_refused(
    name: str,
    damage: Callable[[bytes], bytes],
    words: str,
    refusal: Refusal,
    small_onnx: Path,
    tmp_path: Path,
) -> None:
    model = tmp_path / name
    model.write_bytes(damage(small_onnx.read_bytes()))
    assert words in refusal(model, "--target", HERE, "-o", tmp_path / "m.passd")


def test_a_model_that_is_not_there_or_not_exported(
    refusal: Refusal, small_run: Path, tmp_path: Path
) -> None:
    options = ("--target", HERE, "-o", tmp_path / "m.passd")
    assert "no such file" in refusal(tmp_path / "none.onnx", *options)
    assert "write one with `edge-passd export`" in refusal(small_run, *options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--board", "toaster"), "no board 'toaster'; there are "),
        (("--target", "arm", "--board", "pi"), "raspberry-pi-4, raspberry-pi-5, jetson-nano"),
        (
            ("--target", "x86", "--board", "pi"),
            "x86-64-v3, x86-64-v3-avxvnni, x86-64-v4-vnni and native",
        ),
        (("--target", OTHER, "--board", "native"), f"has no native {OTHER} board"),
        (("--precision", "int8"), "is fp32, which compiling does not change"),
        (("--precision", "fp16"), f"{HERE} has no fp16 kernels; compile for int8 or fp32"),
        (("--photos", "nowhere"), "nowhere: no photos there"),
        (("-o", "m.zip"), "m.zip: name a file that ends with .passd"),
        (("-o", "m"), "m: name a file that ends with .passd"),
        (("-o", "folder.passd"), "folder.passd is a folder"),
        (("-o", "photo.jpg/m.passd"), "photo.jpg is not a folder"),
        (("--photos", "photo.jpg"), "photo.jpg: not a picture that can be read"),
        (("--photos", "folder.passd"), "folder.passd: no photos there"),
    ],
)
def test_options_that_are_refused(
    options: tuple[str, ...],
    words: str,
    refusal: Refusal,
    small_onnx: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder.passd").mkdir()
    Path("photo.jpg").write_bytes(b"no photo")
    assert words in refusal(small_onnx, "--target", HERE, "-o", "m.passd", *options)


def test_an_int8_model_does_not_become_float(refusal: Refusal, tmp_path: Path) -> None:
    options = ("--target", HERE, "--precision", "fp32", "-o", tmp_path / "m.passd")
    assert "is int8, which compiling does not change" in refusal(default_model(), *options)


@pytest.mark.parametrize(("target", "command"), [(HERE, "g++"), (OTHER, CROSS[OTHER])])
def test_a_missing_compiler_is_named_with_its_package(
    target: str,
    command: str,
    refusal: Refusal,
    small_onnx: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    line = refusal(small_onnx, "--target", target, "-o", tmp_path / "m.passd")
    assert f"no {command}, " in line
    assert "sudo apt-get install g++" in line


class OnePixelOff(Reference):
    """What a bundle that is wrong by one pixel is compared with."""

    def run(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        boxes, scores = super().run(image)
        return boxes + 1, scores


def test_a_bundle_that_computes_something_else_replaces_nothing(
    refusal: Refusal,
    small_onnx: Path,
    photo_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gate, "Reference", OnePixelOff)
    bundle = tmp_path / "m.passd"
    bundle.write_bytes(b"the last one")
    line = refusal(small_onnx, "--target", HERE, "--photos", photo_file, "-o", bundle)
    assert "output 'boxes' differs by 1 px (limit " in line
    assert " on cat.png, " in line
    assert "nothing was written" in line


@pytest.mark.parametrize(
    ("options", "words"),
    [(("-o", "/proc/m.passd"), "/proc"), (("--dump", "photo.jpg"), "photo.jpg")],
)
def test_places_that_cannot_be_written_to(
    options: tuple[str, ...],
    words: str,
    small_onnx: Path,
    photo_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photo.jpg").write_bytes(b"no folder")
    line = bad(
        "compile", small_onnx, "--target", HERE, "--photos", photo_file, "-o", "m.passd", *options
    )
    assert words in line
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]
