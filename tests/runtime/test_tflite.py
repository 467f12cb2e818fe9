"""A .tflite file: the archive behind its model, the checks before it runs, the run."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from contextlib import suppress
from importlib.machinery import ModuleSpec
from pathlib import Path

import fake_models
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_passd.engines.table import load_engine
from edge_passd.errors import BadInput
from edge_passd.tflite_file import pack, read, unpack

MODEL = b"\x18\x00\x00\x00TFL3" + bytes(range(256)) * 4
JSON = '{"name": "Käfer"}'


@given(st.binary(max_size=300), st.text(st.characters(codec="utf-8"), max_size=80))
def test_what_is_packed_comes_out_again(tail: bytes, information: str) -> None:
    packed = pack(MODEL + tail, information)
    assert packed.startswith(MODEL + tail)
    assert packed == pack(MODEL + tail, information)
    assert unpack(packed, "x") == (MODEL + tail, information)


def test_any_unzip_reads_the_information(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(pack(MODEL, JSON))
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.read("edge_passd.json").decode() == JSON


def test_a_file_that_others_put_into_the_archive_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(pack(MODEL, JSON))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("labels.txt", "cat")
    assert read(path) == (MODEL, JSON)


@settings(max_examples=300)
@given(st.integers(0, len(pack(MODEL, JSON)) - 1), st.integers(1, 255))
def test_a_changed_byte_is_bad_input_or_changes_nothing(at: int, change: int) -> None:
    content = bytearray(pack(MODEL, JSON))
    content[at] ^= change
    if at < len(MODEL):
        with pytest.raises(BadInput, match=r"^(not an edge-passd model: )?m\.tflite[^\n]*$"):
            unpack(bytes(content), "m.tflite")
        return
    # A date or a flag of the archive is read by nobody.
    with suppress(BadInput):
        assert unpack(bytes(content), "m.tflite") == (MODEL, JSON)


@given(st.integers(0, len(pack(MODEL, JSON)) - 1))
def test_a_file_cut_short_is_bad_input(length: int) -> None:
    with pytest.raises(BadInput, match=r"cut short|no TFLite model|damaged"):
        unpack(pack(MODEL, JSON)[:length], "x")


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_arbitrary_bytes_behind_a_model_are_bad_input(tail: bytes) -> None:
    with pytest.raises(BadInput):
        unpack(MODEL + tail, "x")


def test_an_archive_without_digest_is_bad_input(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(MODEL)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("edge_passd.json", JSON)
    with pytest.raises(BadInput, match=r"damaged .*sha256\.txt.*export it again"):
        read(path)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_interpreter_sees_a_damaged_model(
    tflite_model: Path, tmp_path: Path, data: st.DataObject
) -> None:
    content = bytearray(tflite_model.read_bytes())
    model = fake_models.without_archive(tflite_model)
    at = data.draw(st.integers(8, len(model) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(bytes(content))
    with pytest.raises(BadInput, match="its sha256 is another"):
        load_engine(broken)


def test_other_information_is_another_file_for_the_same_model(
    tflite_model: Path, tmp_path: Path
) -> None:
    model, information = read(tflite_model)
    path = tmp_path / "renamed.tflite"
    path.write_bytes(pack(model, information.replace("colours", "hues")))
    engine = load_engine(path, threads=1)
    assert '"name": "hues"' in str(engine.metadata)
    assert engine.run(np.zeros((1, 3, 64, 64), np.float32))[0].shape == (1, 3, 4)


def test_an_operation_that_is_too_new_is_named(tflite_model: Path, tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    content, information = read(tflite_model)
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    model.operatorCodes[0].version = 99
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    path = tmp_path / "new.tflite"
    path.write_bytes(pack(bytes(builder.Output()), information))
    with pytest.raises(BadInput, match=r"version '99'.*take a newer TFLite") as error:
        load_engine(path)
    assert "\n" not in str(error.value)


def test_tflite_runtime_with_a_newer_numpy_is_bad_input(
    tflite_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(name: str) -> ModuleSpec | None:
        return ModuleSpec(name, None) if name == "tflite_runtime" else None

    monkeypatch.setattr("edge_passd.engines.table.find_spec", find)
    monkeypatch.setattr(np, "__version__", "2.4.6")
    with pytest.raises(BadInput, match=r'does not work with NumPy 2.* "edge-passd\[tflite\]"'):
        load_engine(tflite_model)


def test_it_is_silent(tflite_model: Path) -> None:
    """TFLite announces its delegate on file descriptor 2, once for each process."""
    pytest.importorskip("ai_edge_litert")
    program = (
        "import sys; from pathlib import Path; import numpy; "
        "from edge_passd.engines.table import load_engine; "
        "engine = load_engine(Path(sys.argv[1])); "
        "engine.run(numpy.zeros((1, 3, 64, 64), numpy.float32)); "
        "print('said', file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tflite_model)], capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("", "said\n")


def test_points_that_are_no_numbers_are_a_broken_model(tmp_path: Path) -> None:
    """What a training that diverged leaves: NaN is no row of the table that is looked up."""
    pytest.importorskip("litert_torch")
    import torch

    from quant.export.tflite import convert

    class Lookup(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
            index = (image[0, 0, 0, :2] * float("nan")).to(torch.int32)
            row = torch.nn.functional.embedding(index, image[0, 0, :, :4])[None]
            return {"boxes": row, "scores": row}

    inputs = {"image": torch.zeros(1, 3, 64, 64)}
    path = tmp_path / "nan.tflite"
    path.write_bytes(pack(convert(Lookup().eval(), inputs), fake_models.COLOUR_INFO.to_json()))
    engine = load_engine(path, threads=1)
    with pytest.raises(BadInput, match=r"nan\.tflite is broken: tflite cannot compute it"):
        engine.run(np.ones((1, 3, 64, 64), np.float32))
