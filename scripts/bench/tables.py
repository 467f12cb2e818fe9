"""What was measured, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from bench.limits import LIMITS

OURS = "edge-passd"


def tables(result: dict[str, Any]) -> str:
    """All tables, and the sentences that say how they were made; result: as `bench_host` has it."""
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    sections = [
        f"On {result['processor']}, {result['date']}, with {versions}. "
        "Medians, in brackets the quartiles.",
        *([LIMITS[result["isa"]].says] if result.get("isa") else []),
        *_latency(result),
        *(_offset_convolution(result) if "offset_convolution" in result else ()),
        *(_cold_start(result) if "cold_start" in result else ()),
    ]
    return "\n\n".join(sections) + "\n"


def _latency(result: dict[str, Any]) -> tuple[str, str]:
    rows = result["latency"]
    names = names_of(row["milliseconds"] for row in rows)
    peers = names_of(row["ratio"] for row in rows)
    header = ["C", "precision", "threads", *(f"{name}, ms" for name in names)]
    header += [f"{OURS} / {name}" for name in peers]
    lines = [
        [
            str(row["classes"]),
            row["precision"],
            str(row["threads"]),
            *(cell(row["milliseconds"].get(name), 1) for name in names),
            *(cell(row["ratio"].get(name), 2) for name in peers),
        ]
        for row in rows
    ]
    return (
        f"Latency of inference alone on one photo, {_counted(result)}. C counts the background.",
        table(header, lines),
    )


def _offset_convolution(result: dict[str, Any]) -> tuple[str, str]:
    cases = result["offset_convolution"]
    forms = names_of(case["milliseconds"] for case in cases)
    header = ["form", *(f"C = {case['classes']}, {_threads(case['threads'])}" for case in cases)]
    lines = [[form, *(cell(case["milliseconds"][form], 2) for case in cases)] for form in forms]
    if all(case["ratio"] for case in cases):
        # The largest of the ratios is the one to the fastest of the others.
        largest = [max(case["ratio"].values(), key=lambda each: each[1]) for case in cases]
        lines.append([f"{OURS} / best other", *(cell(each, 2) for each in largest)])
    return (
        "The offset convolution alone in float32 (projection and sampling, C + 4 outputs for three "
        f"boxes in a cell, 256 channels, all levels of {result['size']} px), milliseconds, "
        f"{_counted(result)}. All forms compute the same within 1e-3.",
        table(header, lines),
    )


def _cold_start(result: dict[str, Any]) -> tuple[str, str]:
    lines = [[name, cell(seconds, 2)] for name, seconds in result["cold_start"].items()]
    return (
        "Cold start: `edge-passd run MODEL --source photo.png --save boxes.jpg` with the int8 "
        f"model, C = {result['latency'][0]['classes']}, from the start of the process to its end; "
        f"{result['starts']} starts of each, in turn.",
        table(["engine", "seconds"], lines),
    )


def table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Markdown; all columns but the first aligned to the right."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *lines))


def names_of(rows: Iterable[dict[str, Any]]) -> list[str]:
    """Every name that one of the rows has, in order."""
    return list(dict.fromkeys(name for row in rows for name in row))


def cell(quartiles: Sequence[float] | None, digits: int) -> str:
    """The median and, in brackets, the quartiles; a dash where there are none."""
    if quartiles is None:
        return "-"
    low, middle, high = (f"{value:.{digits}f}" for value in quartiles)
    return f"{middle} ({low}-{high})"


def _counted(result: dict[str, Any]) -> str:
    return f"{result['rounds']} rounds of {result['burst']} runs"


def _threads(number: int) -> str:
    return f"{number} thread{'s'[: number > 1]}"
