"""Peers' decoders on outputs made by hand, and what a peer says that cannot be opened."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_passd.errors import BadInput
from peers import darknet, fastestdet, nanodet, ssd_mobilenet, table, yolo_fastestv2
from peers.peer import COCO, COCO_WITH_GAPS, THRESHOLD, VOC, Peer, Published, digest, letterboxed
from peers.table import PEERS, files_of, peer_candidate

ANIMALS = ("dog", "cat", "sheep", "horse", "cow")
LOW = -30.0  # a logit that is as good as none
BOX = np.array([88.0, 120.0, 136.0, 216.0])  # in pixels of the network's input
BY_NAME = {each.name: each for each in PEERS}

Outputs = tuple[np.ndarray, ...]


def logit(share: np.ndarray | float) -> np.ndarray:
    return np.log(share) - np.log1p(-np.asarray(share))


def nanodet_outputs(box: np.ndarray, column: int, score: float) -> Outputs:
    """The box in the cell of stride 16 that its centre lies in."""
    cells = [40 * 40, 20 * 20, 10 * 10]
    scores = [np.zeros((each, 80), np.float32) for each in cells]
    distances = [np.zeros((each, 32), np.float32) for each in cells]
    centre = (box[:2] + box[2:]) / 2
    x, y = np.minimum(centre // 16, 19).astype(int)
    middle = 16 * (np.array([x, y]) + 0.5)
    wanted = np.concatenate([middle - box[:2], box[2:] - middle]) / 16
    bins = np.full((4, 8), LOW, np.float32)
    for side, distance in enumerate(wanted):  # between two bins, as linear interpolation is
        low = int(distance)
        bins[side, low] = np.log(1 - (distance - low))
        if distance > low:
            bins[side, low + 1] = np.log(distance - low)
    scores[1][20 * y + x, column] = score
    distances[1][20 * y + x] = bins.ravel()
    return *scores, *distances


def fastestdet_outputs(box: np.ndarray, column: int, score: float) -> Outputs:
    output = np.zeros((1, 85, 22, 22), np.float32)
    output[:, 3:5] = LOW
    centre, size = (box[:2] + box[2:]) / 2 / 16, (box[2:] - box[:2]) / 352
    x, y = np.minimum(centre, 21).astype(int)
    output[0, 0, y, x] = output[0, 5 + column, y, x] = score
    output[0, 1:3, y, x] = np.arctanh(np.clip(centre - [x, y], 0, 1 - 1e-7))
    output[0, 3:5, y, x] = logit(np.clip(size, 0, 1 - 1e-7))
    return (output,)


def ssd_outputs(box: np.ndarray, column: int, score: float) -> Outputs:
    boxes, classes, scores = np.zeros((1, 10, 4)), np.zeros((1, 10)), np.full((1, 10), 0.9)
    boxes[0, 0], classes[0, 0], scores[0, 0] = box[[1, 0, 3, 2]] / 300, column, score
    classes[0, 1:] = column  # beyond the count: left over from another photo
    return tuple(each.astype(np.float32) for each in (boxes, classes, scores, np.ones(1)))


def darknet_outputs(box: np.ndarray, column: int, score: float) -> Outputs:
    levels = [np.zeros((side * side * 3, 85), np.float32) for side in (10, 20)]
    centre, size = (box[:2] + box[2:]) / 2 / 320, (box[2:] - box[:2]) / 320
    levels[1][700, :5] = [*centre, *size, 1]
    levels[1][700, 5 + column] = score
    return tuple(levels)


def yolo_fastestv2_outputs(box: np.ndarray, column: int, score: float) -> Outputs:
    """The third box of its cell at stride 32, whose anchor is 280 x 259 pixels."""
    levels = [np.zeros((side, side, 95), np.float32) for side in (22, 11)]
    centre, size = (box[:2] + box[2:]) / 2 / 32, box[2:] - box[:2]
    x, y = np.minimum(centre, 10).astype(int)
    cell = levels[1][y, x]
    cell[8:10] = (centre - [x, y] + 0.5) / 2
    cell[10:12] = np.sqrt(size / yolo_fastestv2.ANCHORS[1, 2]) / 2
    cell[14], cell[15 + column] = 0.5, 2 * score
    return tuple(levels)


DECODERS: dict[str, tuple[Callable[..., Any], Callable[..., Outputs], int, dict[str, int]]] = {
    "nanodet": (nanodet.decode, nanodet_outputs, 320, COCO),
    "fastestdet": (
        lambda outputs, *rest: fastestdet.decode(outputs[0], *rest),
        fastestdet_outputs,
        352,
        COCO,
    ),
    "ssd": (ssd_mobilenet.decode, ssd_outputs, 300, COCO_WITH_GAPS),
    "darknet": (darknet.decode, darknet_outputs, 320, COCO),
    "darknet voc": (darknet.decode, darknet_outputs, 320, VOC),
    "yolo-fastestv2": (yolo_fastestv2.decode, yolo_fastestv2_outputs, 352, COCO),
}


@pytest.mark.parametrize("animal", ANIMALS)
@pytest.mark.parametrize("name", DECODERS)
def test_one_box_in_one_box_out(name: str, animal: str) -> None:
    decode, outputs_of, size, known = DECODERS[name]
    columns = np.array([known[each] for each in ANIMALS])
    boxes, scores = decode(outputs_of(BOX, known[animal], 0.4), size, columns)
    np.testing.assert_allclose(boxes, [BOX], atol=0.02)
    expected = [[0.4 if each == animal else 0 for each in ANIMALS]]
    np.testing.assert_allclose(scores, expected, atol=1e-6)


@pytest.mark.parametrize("name", DECODERS)
def test_what_is_unlikely_or_of_another_class_is_left_out(name: str) -> None:
    decode, outputs_of, size, known = DECODERS[name]
    cat = np.array([known["cat"]])
    for column, score in ((known["dog"], 0.9), (known["cat"], 0.9 * THRESHOLD)):
        boxes, scores = decode(outputs_of(BOX, column, score), size, cat)
        assert (boxes.shape, scores.shape) == ((0, 4), (0, 1))


@pytest.mark.parametrize("name", DECODERS)
@given(st.data())
def test_boxes_anywhere_in_the_picture(name: str, data: st.DataObject) -> None:
    """No smaller and no larger than NanoDet's level of stride 16 can tell; often at a border."""
    decode, outputs_of, size, known = DECODERS[name]
    side = st.integers(16, 100)
    width, height = data.draw(side), data.draw(side)
    x = data.draw(st.sampled_from([0, size - width]) | st.integers(0, size - width))
    y = data.draw(st.sampled_from([0, size - height]) | st.integers(0, size - height))
    box = np.array([x, y, x + width, y + height], float)
    boxes, _ = decode(outputs_of(box, known["cat"], 0.5), size, np.array([known["cat"]]))
    np.testing.assert_allclose(boxes, [box], atol=0.05)


class Hand(Peer):
    """A peer whose network is somebody's hand: one cat where BOX says, twice."""

    def load(self, files: Sequence[Path], threads: int | None) -> None:
        self.threads = threads

    def preprocess(self, image: np.ndarray) -> Any:
        return letterboxed(image, self.info.input_size)

    def infer(self, tensor: np.ndarray) -> Outputs:
        assert tensor.shape == (320, 320, 3)
        return np.array([BOX, BOX + 2, [-50, -50, 40, 10]], np.float32), np.eye(3, dtype=np.float32)

    def decode(self, *outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        scores = np.array([[0, 0.9], [0, 0.8], [0.7, 0]], np.float32)
        return outputs[0], scores


def test_boxes_come_back_to_the_photo_and_overlapping_ones_are_suppressed(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"weights")
    spec = BY_NAME["NanoDet-m"]
    peer = Hand(spec, [tmp_path / "weights"], ("dog", "cat"), 1)
    found = peer.detect(np.zeros((160, 640, 3), np.uint8))
    # 640 x 160 becomes 320 x 80 with 120 rows of margin above; the dog lies in that margin.
    assert found.names == ("cat",)
    np.testing.assert_allclose(found.boxes, [[176, 0, 272, 160]])
    assert found.scores[0] == pytest.approx(0.9)
    assert peer.threads == 1
    assert peer.model_sha256 == digest([tmp_path / "weights"])
    assert (peer.engine, peer.info.precision, peer.info.name) == ("ncnn", "fp32", "NanoDet-m")


def test_letterbox_keeps_what_it_shows(photo: np.ndarray) -> None:
    square, at = letterboxed(photo, 320)
    assert square.shape == (320, 320, 3)
    inner = square[at.top : at.top + at.inner_height, at.left : at.left + at.inner_width]
    resized = cv2.resize(photo, (at.inner_width, at.inner_height))
    np.testing.assert_array_equal(inner, resized)
    assert not square[: at.top].any()


def weights(folder: Path, published: Published, content: bytes = b"nonsense\n") -> None:
    for path in files_of(published, folder):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)


@pytest.mark.parametrize("published", PEERS, ids=lambda each: each.name)
def test_what_cannot_be_opened_says_why(
    published: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "find_spec", lambda name: True)
    with pytest.raises(BadInput, match=r"no such file: .*--peers"):
        peer_candidate(published, tmp_path, ANIMALS).open(1)
    weights(tmp_path, published)
    with pytest.raises(BadInput, match=r"cannot be compared on zebra: of .* are mapped"):
        peer_candidate(published, tmp_path, ("cat", "zebra")).open(1)
    if published.engine != "ncnn":  # not installed here
        with pytest.raises(BadInput, match=r"cannot load it|does not read darknet") as error:
            peer_candidate(published, tmp_path, ANIMALS).open(1)
        assert "\n" not in str(error.value)
    monkeypatch.setattr(table, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match="not installed; run scripts/setup_peers"):
        peer_candidate(published, tmp_path, ANIMALS).open(1)
