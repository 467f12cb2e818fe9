"""A row: all that one benchmark of one artefact on one machine found, as a JSON object.

Every table, plot and page is made from rows. Times are in the unit that a key ends with; AP is 0-1;
null stands where something is unknown or was not asked for.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_passd.bench.latency import STAGES
from edge_passd.bench.measure import Shot
from edge_passd.bench.statistics import REPLICATES
from edge_passd.errors import BadInput
from edge_passd.fields import (
    COUNT,
    FRACTION,
    OBJECT,
    TEXT,
    Field,
    JsonText,
    is_list_of,
    is_object,
    is_size,
    is_text,
)
from edge_passd.files import require_file, write_text

SCHEMA = 1
OK, UNSUPPORTED, FAILED = "ok", "unsupported", "failed"

_CURE = "measure again with `edge-passd bench`"


def row_text(row: Mapping[str, Any]) -> str:
    """The file's content: JSON with one line for each key, however many samples it holds."""
    lines = (
        f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False, allow_nan=False)}"
        for key, value in row.items()
    )
    return "{\n " + ",\n ".join(lines) + "\n}\n"


def write_row(path: Path, row: Mapping[str, Any]) -> None:
    """Write a row, whole or not at all."""
    write_text(path, row_text(row))


def read_row(path: Path) -> dict[str, Any]:
    """A row from a file; keys that this edge-passd does not know stay in it.

    Raises BadInput for a file that is missing, empty, no row, cut short or of another schema.
    """
    require_file(path, "a row that `edge-passd bench --json` wrote")
    return parse_row(path.read_bytes(), str(path))


def parse_row(text: str | bytes, where: str) -> dict[str, Any]:
    """As `read_row`, from a text; `where` names it in errors."""
    row = JsonText(text, f"{where}: broken row", _CURE)
    values = row.values()
    schema = values.get("schema")
    if type(schema) is not int or "status" not in values:
        raise BadInput(f"{where} is no row of `edge-passd bench`; {_CURE}")
    if schema != SCHEMA:
        newer = "install a newer edge-passd, or " if schema > SCHEMA else ""
        raise BadInput(
            f"{where}: row schema {schema}, this edge-passd reads {SCHEMA}; {newer}{_CURE}"
        )
    row.fields(values, _EVERY)
    if values["status"] != OK:
        row.fields(values, _NOT_OK)
        return values
    values = {**_LATER, **values}
    row.fields(values, _MEASURED)
    for key, table in _PARTS.items():
        if values[key] is not None:
            row.fields(values[key], table, f"{key}.")
    samples = values["samples_us"]
    if len({len(samples[key]) for key in _SAMPLES}) > 1:
        raise row.error("the lists in 'samples_us' must be of one length")
    return values


def failed_row(path: Path, engine: str, status: str, reason: str, created: str) -> dict[str, Any]:
    """The row of an artefact that could not be measured.

    status: `UNSUPPORTED` or `FAILED`. reason: one line. created: date and time, ISO 8601.
    """
    return {
        "schema": SCHEMA,
        "status": status,
        "reason": reason,
        "created": created,
        "file": path.resolve().name,
        "engine": engine,
    }


def is_number(value: Any) -> bool:
    """A number that a float holds, and no NaN or infinity: JSON as Python reads it has those."""
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def _is_positive_or_0(value: Any) -> bool:
    return is_number(value) and value >= 0


def _or_null(field: Field) -> Field:
    return Field(lambda value: value is None or field.is_good(value), f"{field.wanted}, or null")


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def _is_interval(value: Any) -> bool:
    return is_list_of(is_number)(value) and len(value) == 2


def _are_replicates(value: Any) -> bool:
    numbers = is_list_of(lambda each: each is None or is_number(each))(value)
    return numbers and len(value) == REPLICATES and value != [None] * REPLICATES


def _is_estimate(value: Any) -> bool:
    return is_object(value) and all(is_number(value.get(key)) for key in ("value", "low", "high"))


_NUMBER = Field(is_number, "a number")
_POSITIVE = Field(_is_positive_or_0, "a number from 0 up")
_SIZE = Field(is_size, "a whole number from 0 up")
_DIGEST = Field(_is_digest, "64 hexadecimal digits")
_SOME_SIZES = Field(
    lambda value: bool(value) and is_list_of(is_size)(value),
    "a list of one whole number or more, from 0 up",
)
_OBJECT_OR_NULL = _or_null(OBJECT)
_ESTIMATE = Field(_is_estimate, "an object of three numbers: value, low and high")
_AP = Field(lambda value: is_number(value) and (value == -1 or 0 <= value <= 1), "0 to 1, or -1")

_TRUTH = Field(lambda value: type(value) is bool, "true or false")

# What the first rows of this schema lack, and what it was for them as far as they tell.
_LATER = {"saturates": False}
_EVERY = {
    "status": Field(
        lambda value: value in (OK, UNSUPPORTED, FAILED), f"{OK}, {UNSUPPORTED} or {FAILED}"
    ),
    "created": TEXT,
    "file": TEXT,
    "engine": TEXT,
}
_NOT_OK = {"reason": TEXT}
_MEASURED = {
    "model": TEXT,
    "model_sha256": _or_null(_DIGEST),
    "model_bytes": _or_null(_SIZE),
    "precision": TEXT,
    "saturates": _TRUTH,
    "classes": Field(is_list_of(is_text), "a list of names"),
    "input_size": COUNT,
    "target": _OBJECT_OR_NULL,
    "int8_share": _or_null(FRACTION),
    "parity": Field(is_list_of(is_object), "a list of objects"),
    "training": OBJECT,
    "versions": OBJECT,
    "threads": _or_null(COUNT),  # null is the engine's own choice
    "affinity": _or_null(_SOME_SIZES),
    "cores_used": _or_null(_POSITIVE),
    "others_cores": _or_null(_POSITIVE),
    "protocol": OBJECT,
    "warm_up": OBJECT,
    "measured": OBJECT,
    "photos": OBJECT,
    "load_s": _POSITIVE,
    "first_ms": _POSITIVE,
    "latency_ms": OBJECT,
    "stages_ms": OBJECT,
    "fps": _POSITIVE,
    "spread": _POSITIVE,
    "drift": _NUMBER,
    "peak_rss_bytes": _or_null(_SIZE),
    "samples_us": OBJECT,
    "accuracy": _OBJECT_OR_NULL,
    "baseline": _OBJECT_OR_NULL,
    "against": _OBJECT_OR_NULL,
    "board": OBJECT,
    "thermal": OBJECT,
    "power": OBJECT,
}
_LATENCY = dict.fromkeys(
    ("min", "p10", "p50", "p90", "p99", "max", "mean"), _POSITIVE
)  # as `statistics.summary` gives them
_STAGES = dict.fromkeys(STAGES, _POSITIVE)  # medians
_SAMPLES = dict.fromkeys(Shot._fields, _SOME_SIZES)
_ACCURACY = {
    "data": TEXT,
    "data_sha256": _DIGEST,
    "images": COUNT,
    **dict.fromkeys(("AP", "AP50", "AP75", "AP_S", "AP_M", "AP_L"), _AP),
    "AP_interval": Field(_is_interval, "a list of two numbers"),
    "AP_replicates": Field(_are_replicates, f"a list of {REPLICATES} numbers, some may be null"),
}
_OTHER = {"model": TEXT, "precision": TEXT, "engine": TEXT}
_PARTS: dict[str, dict[str, Field]] = {
    "protocol": {"rule": TEXT, "iterations": COUNT, "seconds": _POSITIVE, "percentile": COUNT},
    "warm_up": {
        "iterations": COUNT,
        "seconds": _POSITIVE,
        "stable": _TRUTH,
    },
    "measured": {
        "iterations": COUNT,
        "seconds": _POSITIVE,
        "complete": _TRUTH,
    },
    "photos": {"source": TEXT, "count": COUNT, "detections": _POSITIVE},
    "latency_ms": _LATENCY,
    "stages_ms": _STAGES,
    "samples_us": _SAMPLES,
    "accuracy": _ACCURACY,
    "baseline": {**_OTHER, "AP": _AP, "AP_difference": _ESTIMATE},
    "board": {"model": _or_null(TEXT), "cpu": _or_null(TEXT)},
    "thermal": {
        "throttled": Field(lambda value: value in ("yes", "no", "unknown"), "yes, no or unknown"),
        "timeline": OBJECT,
    },
    "power": {"status": TEXT, "j_per_frame": _or_null(_POSITIVE)},
    "against": {**_OTHER, "ratio": _ESTIMATE, "infer_ratio": _ESTIMATE, "rounds": COUNT},
}
