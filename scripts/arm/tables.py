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


def by_function(cost: Mapping[str, Any], rows: int = 40) -> str:
    """Where the instructions of a bundle go: its dearest functions, the rest and all."""
    macs = {each["name"]: each["macs"] for each in cost["operators"]}
    lines = [
        f"{cost['file']}: executed instructions by function, in millions.",
        "",
        "| function | instructions | share | MAC, millions | MAC each instruction |",
        "|---|---:|---:|---:|---:|",
    ]
    functions = list(cost["functions"].items())
    for name, executed in functions[:rows]:
        lines.append(_row(name, executed, cost["executed"], macs.get(name)))
    if rest := sum(executed for _, executed in functions[rows:]):
        lines.append(_row(f"{len(functions) - rows} more", rest, cost["executed"], None))
    inside = sum(executed for _, executed in functions)
    lines.append(_row("outside the library", cost["executed"] - inside, cost["executed"], None))
    lines.append(_row("all", cost["executed"], cost["executed"], sum(macs.values())))
    return "\n".join(lines) + "\n"


def sizes(bytes_of: Mapping[str, int]) -> str:
    """What each way to run a model takes on a board."""
    lines = ["| on the board | MB |", "|---|---:|"]
    lines += [f"| {name} | {size / _MILLION:,.0f} |" for name, size in bytes_of.items()]
    return "\n".join(lines) + "\n"


def _row(name: str, executed: int, of: int, macs: int | None) -> str:
    cells = [name, f"{executed / _MILLION:,.2f}", f"{executed / of:.1%}"]
    cells += [f"{macs / _MILLION:,.1f}", f"{macs / executed:.1f}"] if macs else ["", ""]
    return "| " + " | ".join(cells) + " |"


def _kind(cost: Mapping[str, Any]) -> tuple[int, int, str]:
    return cost["classes"], cost["input_size"], cost["precision"]
