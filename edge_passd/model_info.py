"""What a model says about itself: the JSON that every edge-passd model carries in its metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from edge_passd.errors import BadInput
from edge_passd.fields import COUNT, FRACTION, OBJECT, TEXT, Field, JsonText, is_count, is_text

METADATA_KEY = "edge_passd"
SCHEMA = 1
RESIZES = ("stretch", "letterbox")


@dataclass(frozen=True)
class ModelInfo:
    """Identity, classes and post-processing of one model.

    classes: names in label order, background not among them.
    input_size: side of the square input, pixels.
    resize: how a photo becomes square, one of `RESIZES`.
    score_threshold, max_detections, nms_iou: discard below, keep at most, suppress above.
    precision: of the weights, "fp32", "int8", ...
    training: free-form provenance.
    """

    name: str
    classes: tuple[str, ...]
    input_size: int
    resize: str = "stretch"
    score_threshold: float = 0.01
    max_detections: int = 200
    nms_iou: float = 0.45
    precision: str = "fp32"
    training: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, text: str | None, where: str) -> ModelInfo:
        """Parse and check the metadata text; `where` names the model in errors.

        Raises BadInput when the text is absent, of another schema, or breaks the contract.
        """
        if text is None:
            raise BadInput(
                f"not an edge-passd model: {where} lacks the metadata key {METADATA_KEY!r}; "
                "export one with `edge-passd export`"
            )
        metadata = JsonText(text, f"{where}: broken metadata", "export it again")
        values = metadata.values()
        if values.get("schema") != SCHEMA:
            raise BadInput(
                f"{where}: metadata schema {json.dumps(values.get('schema'))}, this edge-passd "
                f"reads {SCHEMA}; export the model again or install the matching edge-passd"
            )
        known = metadata.fields(values, _FIELDS)
        return cls(**{**known, "classes": tuple(known["classes"])})

    def to_json(self) -> str:
        """The metadata text, the inverse of `from_json`."""
        return json.dumps({"schema": SCHEMA, **asdict(self)}, ensure_ascii=False)


def _are_classes(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(map(is_text, value))
        and len(set(value)) == len(value)
    )


_FIELDS = {
    "name": TEXT,
    "classes": Field(_are_classes, "a list of different names"),
    "input_size": Field(is_count, "a positive number of pixels"),
    "resize": Field(lambda value: value in RESIZES, f"one of {', '.join(RESIZES)}"),
    "score_threshold": FRACTION,
    "max_detections": COUNT,
    "nms_iou": FRACTION,
    "precision": TEXT,
    "training": OBJECT,
}
