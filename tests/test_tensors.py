"""Safetensors files: whole or not at all, and one clear line for each that is bad."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from edge_passd.errors import BadInput
from quant.tensors import load_exactly, read_tensors, write_tensors

TENSORS = {
    "a.weight": torch.arange(6.0).reshape(2, 3),
    "half": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
    "count": torch.tensor(7),
    "none": torch.zeros(0, 4),
}


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "t.safetensors"
    write_tensors(path, TENSORS, {"schema": "1"})
    tensors, header = read_tensors(path)
    assert header == {"schema": "1"}
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype
        torch.testing.assert_close(tensors[name], tensor, rtol=0, atol=0)
    assert list(path.parent.iterdir()) == [path]  # nothing temporary is left
    plain = tmp_path / "plain"
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode  # others may read it as they may any file


def test_views_and_parameters_are_written_as_they_read(tmp_path: Path) -> None:
    path = tmp_path / "t.safetensors"
    square = torch.arange(16.0).reshape(1, 4, 2, 2)
    odd = {
        "parameter": nn.Parameter(torch.ones(2)),
        "transposed": square[0, 0].T,
        "channels_last": square.to(memory_format=torch.channels_last),
    }
    write_tensors(path, odd, {})
    tensors, _ = read_tensors(path)
    for name, tensor in odd.items():
        torch.testing.assert_close(tensors[name], tensor.detach(), rtol=0, atol=0)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "t.safetensors"
    write_tensors(path, TENSORS, {})
    before = path.read_bytes()
    with pytest.raises(Exception, match="str"):
        write_tensors(path, TENSORS, {"epoch": 1})  # type: ignore[dict-item]
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"gone\.safetensors: no such file"):
        read_tensors(tmp_path / "gone.safetensors")
    with pytest.raises(BadInput, match="no such file"):
        read_tensors(tmp_path)


@given(data=st.data())
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_damaged_file_is_bad_input_or_reads(data: st.DataObject, tmp_path: Path) -> None:
    path = tmp_path / "t.safetensors"
    write_tensors(path, TENSORS, {"schema": "1"})
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans(), "cut"):
        content = content[: data.draw(st.integers(0, len(content) - 1), "length")]
    else:
        at = data.draw(st.integers(0, len(content) - 1), "at")
        content[at] = data.draw(st.integers(0, 255), "byte")
    cut = len(content) < path.stat().st_size
    path.write_bytes(content)
    refusal = why_refused(path)
    if refusal is None:
        assert not cut
    else:
        assert "t.safetensors: not a readable safetensors file" in refusal
        assert "\n" not in refusal


def why_refused(path: Path) -> str | None:
    try:
        read_tensors(path)
    except BadInput as error:
        return str(error)
    return None


def model() -> nn.Linear:
    return nn.Linear(3, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bias": None}, "'bias' is missing; the file is of another model"),
        ({"extra": torch.zeros(1)}, "'extra' is not of this model"),
        ({"weight": torch.zeros(3, 2)}, r"'weight' has shape \(3, 2\), the model needs \(2, 3\)"),
        ({"bias": None, "weight": None}, "'bias' is missing"),  # the first by name, always
    ],
)
def test_tensors_of_another_model_are_named(
    change: dict[str, torch.Tensor | None], message: str
) -> None:
    target = model()
    before = target.weight.detach().clone()
    state = {**model().state_dict(), **change}
    tensors = {k: v for k, v in state.items() if v is not None}
    with pytest.raises(BadInput, match=rf"f\.safetensors: tensor {message}"):
        load_exactly(target, tensors, Path("f.safetensors"))
    torch.testing.assert_close(target.weight.detach(), before, rtol=0, atol=0)


def test_tensors_of_this_model_are_loaded() -> None:
    source, target = model(), model()
    load_exactly(target, source.state_dict(), Path("f.safetensors"))
    torch.testing.assert_close(target.weight, source.weight, rtol=0, atol=0)
