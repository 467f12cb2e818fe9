"""The loss of both stages against plain float64 loops."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from edge_passd import boxes as geometry
from quant.model import ModelConfig, Prediction
from quant.training.loss import DefaultBoxes, StageLoss, passd_loss
from tests.training import reference
from tests.training.test_matching import batch

SIZE = 64
CLASSES = 3
DEFAULT = geometry.default_boxes(SIZE).astype(np.float64)
STRIDES = geometry.box_strides(SIZE).astype(np.float64)
BOXES = len(DEFAULT)

Object = tuple[Sequence[float], int, bool]


def defaults() -> DefaultBoxes:
    return DefaultBoxes(
        torch.from_numpy(DEFAULT),
        torch.from_numpy(geometry.corners(DEFAULT)),
        torch.from_numpy(STRIDES),
    )


def random_prediction(pictures: int, seed: int, propose: str) -> Prediction:
    """Float64 outputs; the boxes are adjusted as `propose` does it, half a size up or down."""
    rng = np.random.default_rng(seed)
    raw = rng.normal(0, 0.5, (pictures, BOXES, 4))
    adjusted = {
        "none": lambda: np.stack([DEFAULT] * pictures),
        "clipped": lambda: geometry.decode_clipped(raw, DEFAULT, STRIDES),
        "unclipped": lambda: geometry.decode(raw / 5, DEFAULT),
    }[propose]()
    values = (
        rng.normal(0, 2, (pictures, BOXES, 2)),
        adjusted,
        rng.normal(0, 2, (pictures, BOXES, CLASSES + 1)),
        rng.normal(0, 0.3, (pictures, BOXES, 4)),
    )
    tensors = [torch.from_numpy(value).requires_grad_() for value in values]
    return Prediction(None if propose == "none" else tensors[0], *tensors[1:])


def looped(
    prediction: Prediction, pictures: Sequence[Sequence[Object]], clipped: bool
) -> dict[str, np.ndarray]:
    """Each stage's classification, regression and positives, summed over the pictures."""
    sums = {"propose": np.zeros(3), "attend": np.zeros(3)}
    objects, labels, ignored = batch(pictures)
    for b in range(len(pictures)):
        truth = objects[b].numpy(), labels[b].numpy(), ignored[b].numpy()
        adjusted, logits, offsets = (x[b].detach().numpy() for x in prediction[1:])
        if prediction.objectness is not None:
            classes, targets = reference.assign(geometry.corners(DEFAULT), *truth, True)
            residuals = reference.propose_residuals(adjusted, DEFAULT, STRIDES, targets, clipped)
            objectness = prediction.objectness[b].detach().numpy()
            sums["propose"] += reference.stage(objectness, classes.clip(max=1), residuals)
        classes, targets = reference.assign(
            geometry.corners(adjusted), *truth, prediction.objectness is None
        )
        residuals = reference.attend_residuals(offsets, adjusted, targets)
        sums["attend"] += reference.stage(logits, classes, residuals)
    return sums if prediction.objectness is not None else {"attend": sums["attend"]}


def loss(
    prediction: Prediction, pictures: Sequence[Sequence[Object]], clipped: bool = True
) -> dict[str, StageLoss]:
    return passd_loss(prediction, defaults(), *batch(pictures), clipped)


def on_box(index: int, shift: tuple[float, ...], label: int, ignored: bool) -> Object:
    """An object near a default box: its edges moved by these shares of its side."""
    x1, y1, x2, y2 = geometry.corners(DEFAULT[index])
    side = x2 - x1
    dx1, dy1, dx2, dy2 = (side * share for share in shift)
    return (x1 + dx1, y1 + dy1, x2 + dx2, y2 + dy2), label, ignored


objects = st.builds(
    on_box,
    index=st.integers(0, BOXES - 1),
    shift=st.tuples(*[st.floats(-0.4, 0.4)] * 4),
    label=st.integers(0, CLASSES - 1),
    ignored=st.booleans(),
)


@given(
    pictures=st.lists(st.lists(objects, max_size=4), min_size=1, max_size=3),
    seed=st.integers(0, 2**32),
    propose=st.sampled_from(["none", "clipped", "unclipped"]),
)
@settings(max_examples=40, deadline=None)
def test_losses_are_those_of_plain_loops(
    pictures: list[list[Object]], seed: int, propose: str
) -> None:
    prediction = random_prediction(len(pictures), seed, propose)
    found = loss(prediction, pictures, clipped=propose == "clipped")
    expected = looped(prediction, pictures, clipped=propose == "clipped")
    assert found.keys() == expected.keys()
    for name, stage in found.items():
        values = [float(value.detach()) for value in stage]
        np.testing.assert_allclose(values, expected[name], 1e-9, 1e-9, err_msg=name)


def total(stages: dict[str, StageLoss]) -> Tensor:
    """As the trainer adds it up: each stage divided by its own positives."""
    parts = [(s.classification + s.regression) / max(1, int(s.positives)) for s in stages.values()]
    return torch.stack(parts).sum()


@pytest.mark.parametrize(
    "pictures",
    [[[], []], [[on_box(40, (0.0,) * 4, 1, True)], []]],
    ids=["no objects", "only an ignored object"],
)
@pytest.mark.parametrize("propose", ["none", "clipped"])
def test_without_positives_the_loss_and_its_gradients_are_zero(
    pictures: list[list[Object]], propose: str
) -> None:
    prediction = random_prediction(2, 0, propose)
    value = total(loss(prediction, pictures))
    assert value.item() == 0
    value.backward()
    for tensor in prediction:
        if tensor is not None and tensor.grad is not None:
            assert (tensor.grad == 0).all()
    assert prediction.logits.grad is not None


def test_a_picture_without_objects_adds_nothing_to_one_with() -> None:
    pictures = [[on_box(100, (0.1, 0, 0, 0), 0, False)]]
    both = random_prediction(2, 3, "clipped")
    assert both.objectness is not None
    first = Prediction(both.objectness[:1], *(x[:1] for x in both[1:] if x is not None))
    alone, joint = loss(first, pictures), loss(both, [*pictures, []])
    for name in ("propose", "attend"):
        for a, b in zip(alone[name], joint[name], strict=True):
            assert a.item() == pytest.approx(b.item(), rel=1e-12)


def test_three_negatives_for_each_positive_by_loss() -> None:
    """With equal logits every box costs log 2, and the count of those that count shows."""
    prediction = random_prediction(1, 0, "clipped")
    even = prediction._replace(objectness=torch.zeros(1, BOXES, 2, dtype=torch.float64))
    stage = loss(even, [[on_box(100, (0.0,) * 4, 0, False)]])["propose"]
    positives = int(stage.positives)
    assert positives > 0
    assert stage.classification.item() == pytest.approx(4 * positives * np.log(2))
    # Some hundred boxes are sure that they are objects: the hardest are taken first.
    hard = torch.zeros(1, BOXES, 2, dtype=torch.float64)
    hard[0, -3 * positives :, 1] = 50.0
    stage = loss(even._replace(objectness=hard), [[on_box(100, (0.0,) * 4, 0, False)]])["propose"]
    assert stage.classification.item() == pytest.approx(positives * (150 + np.log(2)))


def single(adjusted: list[float], object_: Object, clipped: bool = True) -> dict[str, StageLoss]:
    """The loss where the one default box is 32 px wide in the middle; all outputs are zero."""
    default = torch.tensor([[32.0, 32, 32, 32]], dtype=torch.float64)
    corners = torch.tensor([[16.0, 16, 48, 48]], dtype=torch.float64)
    prediction = Prediction(
        torch.zeros(1, 1, 2).double(),
        torch.tensor([[adjusted]]).double(),
        torch.zeros(1, 1, CLASSES + 1).double(),
        torch.zeros(1, 1, 4).double(),
    )
    strides = torch.tensor([8.0]).double()
    boxes = DefaultBoxes(default, corners, strides)
    return passd_loss(prediction, boxes, *batch([[object_]]), clipped)


def test_fewer_negatives_than_three_to_one_are_all_taken() -> None:
    stages = single([32.0, 32, 32, 32], ((16, 16, 48, 48), 2, False))
    assert stages["propose"].classification.item() == pytest.approx(np.log(2))
    assert stages["attend"].classification.item() == pytest.approx(np.log(CLASSES + 1))
    assert stages["attend"].regression.item() == pytest.approx(0, abs=1e-12)


def test_an_ignored_object_is_not_a_negative() -> None:
    wanted, left_out = on_box(245, (0.0,) * 4, 0, False), on_box(3, (0.0,) * 4, 1, True)
    prediction = random_prediction(1, 0, "none")
    prediction.logits.data[0, 3, 1] = 90.0  # so sure that it would be the hardest negative
    with_it = loss(prediction, [[wanted, left_out]])["attend"].classification
    without = loss(prediction, [[wanted]])["attend"].classification
    assert without.item() > 80
    assert with_it.item() < without.item() - 60


def test_a_clipped_centre_is_asked_for_what_it_can_reach() -> None:
    """The object lies a stride to the right and below; 0.48 strides are all that is asked for."""
    object_ = ((24, 24, 56, 56), 0, False)
    reached = [32 + 0.48 * 8, 32 + 0.48 * 8, 32.0, 32.0]
    assert single(reached, object_)["propose"].regression.item() == pytest.approx(0, abs=1e-12)
    missing = 0.52 * 8 / 32 / 0.1  # in units of the loss, beyond the kink of smooth L1
    unclipped = single(reached, object_, clipped=False)["propose"].regression.item()
    assert unclipped == pytest.approx(2 * (missing - 0.5))
    assert single([40.0, 40, 32, 32], object_, clipped=False)["propose"].regression.item() == 0


def test_targets_of_the_attend_stage_do_not_move_the_proposals() -> None:
    prediction = random_prediction(1, 0, "clipped")
    stage = loss(prediction, [[on_box(100, (0.05, 0, 0, 0), 0, False)]])["attend"]
    assert stage.positives > 0
    (stage.classification + stage.regression).backward()
    assert prediction.adjusted.grad is None
    assert prediction.offsets.grad is not None
    assert prediction.offsets.grad.any()


def test_default_boxes_as_tensors() -> None:
    boxes = DefaultBoxes.of(ModelConfig(("cat",), SIZE), SIZE, torch.device("cpu"))
    np.testing.assert_array_equal(boxes.centres, geometry.default_boxes(SIZE))
    np.testing.assert_allclose(boxes.corners, geometry.corners(geometry.default_boxes(SIZE)))
    np.testing.assert_array_equal(boxes.strides, geometry.box_strides(SIZE))
