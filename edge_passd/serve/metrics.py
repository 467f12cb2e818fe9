"""The figures in the text format that Prometheus reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_passd.serve.figures import LIVE
from edge_passd.sources.source import SourceState

CONTENT_TYPE = "text/plain; version=0.0.4"


def metrics(
    figures: Mapping[str, Any],
    board: Mapping[str, Any],
    state: SourceState,
    status: str,
    viewers: int,
) -> str:
    """figures, board: as `Figures.to_dict` and `Board.to_dict` give them."""
    latency = figures["latency"] or {}
    samples = [
        ("up", "gauge", "", int(status == LIVE)),
        ("results_total", "counter", "", figures["frames"]),
        ("results_per_second", "gauge", "", figures["fps"]),
        ("latency_milliseconds", "gauge", '{quantile="0.5"}', latency.get("p50_ms")),
        ("latency_milliseconds", "gauge", '{quantile="0.9"}', latency.get("p90_ms")),
        ("source_frames_total", "counter", "", state.frames),
        ("source_dropped_total", "counter", "", state.dropped),
        ("source_reconnects_total", "counter", "", state.reconnects),
        ("viewers", "gauge", "", viewers),
        ("board_celsius", "gauge", "", board.get("celsius")),
        ("board_watts", "gauge", "", board.get("watts")),
        *(
            ("detections_total", "counter", f'{{class="{_escaped(name)}"}}', count)
            for name, count in figures["detections"].items()
        ),
    ]
    lines = []
    typed = ""
    for name, kind, labels, value in samples:
        if value is None:
            continue
        if name != typed:
            lines.append(f"# TYPE edge_passd_{name} {kind}")
            typed = name
        lines.append(f"edge_passd_{name}{labels} {value}")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
