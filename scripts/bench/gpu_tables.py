"""What was measured on a GPU, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench.tables import OURS, cell, names_of, table


def tables(result: dict[str, Any]) -> str:
    """All tables, and the sentences that say how they were made; result: of `gpu_measure`."""
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    sections = [
        f"On {result['gpu']} with a driver for CUDA {result['cuda']}, {result['date']}, beside "
        f"{versions}; input of {result['size']} px. Medians, in brackets the quartiles; "
        f"{result['rounds']} rounds of {result['burst']} runs.",
        *_correctness(result),
        *_latency(result),
        *_end_to_end(result),
        *_offset_convolution(result),
        *_floors(result),
        *_operators(result),
    ]
    return "\n\n".join(sections) + "\n"


def _correctness(result: dict[str, Any]) -> Iterator[str]:
    rows = result.get("correctness", [])
    if not rows:
        return
    photos = rows[0]["parity"]["photos"]
    yield (
        f"Against the reference on {photos} photos: the largest differences of boxes (px) and "
        "scores, the share of detections that are the same, and the operator that is off most, "
        "relative to what it writes; on integers the share of elements that differ."
    )
    lines = []
    for row in rows:
        parity, worst = row["parity"], max(row["operators"].values(), default=0.0)
        lines.append(
            [
                row["name"],
                f"{parity['boxes']:.2g}",
                f"{parity['scores']:.2g}",
                f"{parity['matched']:.2%} of {parity['detections']}",
                f"{worst:.2g}",
                row["problem"] or "none",
            ]
        )
    yield table(["model", "boxes", "scores", "same detections", "operators", "problem"], lines)


def _latency(result: dict[str, Any]) -> Iterator[str]:
    rows = result.get("latency", [])
    if rows:
        yield (
            "Inference alone in ms, of the GPU's time by events: edge-passd's launches as one CUDA "
            "graph, inputs on the GPU already. C counts the background; edge-passd in int8 stands "
            "beside float16."
        )
        yield _compared(rows, 3)


def _end_to_end(result: dict[str, Any]) -> Iterator[str]:
    rows = result.get("latency", [])
    if rows:
        yield "From an array in this machine's memory to arrays there, in ms of the wall clock."
        yield _compared([{**row, **row["end_to_end"]} for row in rows], 3)


def _offset_convolution(result: dict[str, Any]) -> Iterator[str]:
    rows = result.get("offset_convolution", [])
    if rows:
        yield (
            "The offset convolution alone on one photo in ms, all levels. edge-passd's launches do "
            "more than the others: they compute the sampling points from raw offsets, decode the "
            "boxes and take the softmax."
        )
        yield _compared([{**row, "batch": 1} for row in rows], 4)


def _compared(rows: list[dict[str, Any]], digits: int) -> str:
    """One line for each row, its forms' times and then edge-passd's ratio to each."""
    names = names_of(row["milliseconds"] for row in rows)
    peers = names_of(row["ratio"] for row in rows)
    header = ["C", "precision", "batch", *names, *(f"{OURS} / {name}" for name in peers)]
    lines = [
        [
            str(row["classes"]), row["precision"], str(row["batch"]),
            *(cell(row["milliseconds"].get(name), digits) for name in names),
            *(cell(row["ratio"].get(name), 2) for name in peers),
        ]
        for row in rows
    ]  # fmt: skip
    return table(header, lines)


def _floors(result: dict[str, Any]) -> Iterator[str]:
    found = result.get("ceilings")
    rows = [
        (kind, row)
        for kind, name in (("model", "latency"), ("offset convolution", "offset_convolution"))
        for row in result.get(name, [])
    ]
    if not found or not rows:
        return
    yield (
        f"Floors from what this GPU was measured to do: {found['bandwidth']:.0f} GB/s in a large "
        f"copy; {found['fp32']:.1f}, {found['fp16']:.0f} and {found['int8']:.0f} * 10^12 "
        "operations a second in large products of matrices in fp32, fp16 and int8; "
        f"{found['launch_us']:.2f} us from launch to launch of a CUDA graph. Each operator takes "
        "at least as long as its traffic or its arithmetic, if nothing comes out of a cache."
    )
    header = ["", "C", "precision", "batch", "traffic", "arithmetic", "floor", "launches", OURS]
    lines = []
    for kind, row in rows:
        floors = row["floors"]
        lines.append(
            [
                kind, str(row["classes"]), row["precision"], str(row.get("batch", 1)),
                *(f"{floors[key]:.4f}" for key in ("traffic", "arithmetic", "floor", "launches")),
                cell(row["milliseconds"][OURS], 4),
            ]
        )  # fmt: skip
    yield table(header, lines)


def _operators(result: dict[str, Any]) -> Iterator[str]:
    """By kind, for all operators would make a long page; the figures have each."""
    rows = result.get("operators", [])
    if not rows:
        return
    yield (
        "Where the time goes: microseconds of all operators of a kind, each timed over and over in "
        "a graph of its own, and their floors."
    )
    lines = []
    for row in rows:
        kinds = dict.fromkeys(each["kind"].partition(",")[0] for each in row["operators"])
        for kind in kinds:
            alike = [each for each in row["operators"] if each["kind"].partition(",")[0] == kind]
            taken = sum(each["microseconds"][1] for each in alike)
            floor = sum(each["floor_us"] for each in alike)
            lines.append([row["name"], kind, str(len(alike)), f"{taken:.1f}", f"{floor:.1f}"])
    yield table(["model", "kind", "operators", OURS, "floor"], lines)
