"""A result as one JSON object: what files, brokers and webhooks get, defined once."""

from __future__ import annotations

import json
from typing import Any

from edge_passd.sinks.sink import Result

SCHEMA = 1


def record(result: Result) -> dict[str, Any]:
    """Plain numbers and words.

    "schema", "source", "frame", "time_s" (seconds since the first frame) and "detections" always;
    "latency_ms" (arrival of the frame to its boxes) for a live source; "events" where there are
    any. A reader can rely on a key's meaning as long as "schema" stays the same.
    """
    frame = result.frame
    line: dict[str, Any] = {
        "schema": SCHEMA,
        "source": frame.source,
        "frame": frame.index,
        "time_s": round(frame.time_s, 3),
    }
    if result.latency_s is not None:
        line["latency_ms"] = round(1000 * result.latency_s, 1)
    line["detections"] = result.detections.to_dict()
    if result.events:
        line["events"] = list(result.events)
    return line


def json_line(result: Result) -> bytes:
    """The record in UTF-8, without a line's end."""
    return json.dumps(record(result), ensure_ascii=False).encode()
