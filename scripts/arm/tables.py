"""The tables of `scripts/bench_arm.py`, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

OURS = "tvm"
ENGINES = {"tvm": "edge-passd (TVM)", "onnxruntime": "onnxruntime", "tflite": "LiteRT"}
_MILLION = 1e6


def comparison(costs: Sequence[Mapping[str, Any]], cpu: str) -> str:
    """A row for each model; ours against each peer of the same precision and classes."""
    lines = [
        f"Executed instructions of one inference, {cpu}, one thread, in millions.",
        "",
        "| engine | precision | C | px | instructions | ours is | file, MB |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    ours = {_kind(each): each["executed"] for each in costs if each["engine"] == OURS}
    for each in sorted(costs, key=lambda each: (_kind(each), each["executed"])):
        mine = ours.get(_kind(each))
        ratio = f"{mine / each['executed']:.2f}x" if mine and each["engine"] != OURS else ""
        lines.append(
            f"| {ENGINES.get(each['engine'], each['engine'])} | {each['precision']} | "
            f"{each['classes']} | {each['input_size']} | {each['executed'] / _MILLION:,.1f} | "
            f"{ratio} | {each['bytes'] / _MILLION:.1f} |"
        )
    return "\n".join(lines) + "\n"


def by_operator(cost: Mapping[str, Any]) -> str:
    """Where the instructions of a bundle go, the dearest operator first."""
    lines = [
        f"{cost['file']}: executed instructions by operator, in millions.",
        "",
        "| operator | kind | instructions | share | MAC, millions | MAC each instruction |",
        "|---|---|---:|---:|---:|---:|",
    ]
    operators = sorted(cost["operators"], key=lambda each: -each["executed"])
    rest = cost["executed"] - sum(each["executed"] for each in operators)
    macs = sum(each["macs"] for each in operators)
    for each in (
        *operators,
        {"name": "outside of them", "kind": "", "executed": rest, "macs": 0},
        {"name": "all", "kind": "", "executed": cost["executed"], "macs": macs},
    ):
        cells = [each["name"], each["kind"], f"{each['executed'] / _MILLION:,.2f}"]
        cells += [f"{each['executed'] / cost['executed']:.1%}"]
        has_macs = each["macs"] and each["executed"] > 0
        cells += [f"{each['macs'] / _MILLION:,.1f}" if has_macs else ""]
        cells += [f"{each['macs'] / each['executed']:.1f}" if has_macs else ""]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def sizes(bytes_of: Mapping[str, int]) -> str:
    """What each way to run a model takes on a board."""
    lines = ["| on the board | MB |", "|---|---:|"]
    lines += [f"| {name} | {size / _MILLION:,.0f} |" for name, size in bytes_of.items()]
    return "\n".join(lines) + "\n"


def _kind(cost: Mapping[str, Any]) -> tuple[int, int, str]:
    return cost["classes"], cost["input_size"], cost["precision"]
