"""What a model says about itself: the JSON that every edge-passd model carries in its metadata."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from edge_passd.errors import BadInput

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
        values = _parse(text, where)
        for name, (is_good, wanted) in _FIELDS.items():
            if name not in values:
                raise BadInput(f"{where}: broken metadata: {name!r} is missing; export it again")
            if not is_good(values[name]):
                raise BadInput(
                    f"{where}: broken metadata: {name!r} must be {wanted}, "
                    f"not {json.dumps(values[name])[:60]}; export it again"
                )
        known = {name: values[name] for name in _FIELDS}
        return cls(**{**known, "classes": tuple(known["classes"])})

    def to_json(self) -> str:
        """The metadata text, the inverse of `from_json`."""
        return json.dumps({"schema": SCHEMA, **asdict(self)}, ensure_ascii=False)


def _parse(text: str, where: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except ValueError as error:
        raise BadInput(f"{where}: broken metadata: {error}; export it again") from None
    if not isinstance(values, dict):
        raise BadInput(f"{where}: broken metadata: not a JSON object; export it again")
    if values.get("schema") != SCHEMA:
        raise BadInput(
            f"{where}: metadata schema {json.dumps(values.get('schema'))}, this edge-passd reads "
            f"{SCHEMA}; export the model again or install the matching edge-passd"
        )
    return values


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_count(value: Any) -> bool:
    return type(value) is int and value > 0  # bool is an int too, and no count


def _is_fraction(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= 1


def _are_classes(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(_is_text(name) for name in value)
        and len(set(value)) == len(value)
    )


_FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "name": (_is_text, "a name"),
    "classes": (_are_classes, "a list of different names"),
    "input_size": (_is_count, "a positive number of pixels"),
    "resize": (lambda value: value in RESIZES, f"one of {', '.join(RESIZES)}"),
    "score_threshold": (_is_fraction, "a number from 0 to 1"),
    "max_detections": (_is_count, "a positive whole number"),
    "nms_iou": (_is_fraction, "a number from 0 to 1"),
    "precision": (_is_text, "a name"),
    "training": (lambda value: isinstance(value, dict), "an object"),
}
