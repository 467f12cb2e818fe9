"""The tables of `scripts/bench_arm.py`, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

OURS = "tvm"
ENGINES = {"tvm": "edge-passd (TVM)", "onnxruntime": "onnxruntime", "tflite": "LiteRT"}

_MILLION = 1e6

Row = tuple[str, int, int]  # name, executed instructions, multiply-accumulates


def comparison(costs: Sequence[Mapping[str, Any]], cpu: str) -> str:
    """A row for each model; the best of ours against each peer of the same precision and C."""
    ordered = sorted(costs, key=lambda each: (_case(each), each["executed"]))
    lines = [
        f"Executed instructions of one inference, {cpu}, one thread, in millions.",
        "",
        "| engine | precision | C | px | instructions | ours is | file | MB |",
        "|---|---|---:|---:|---:|---:|---|---:|",
    ]
    for each in ordered:
        ours = [o["executed"] for o in ordered if o["engine"] == OURS and _case(o) == _case(each)]
        has_ratio = ours and each["engine"] != OURS
        lines.append(
            _line(
                ENGINES.get(each["engine"], each["engine"]),
                each["precision"],
                each["classes"],
                each["input_size"],
                f"{each['executed'] / _MILLION:,.1f}",
                f"{ours[0] / each['executed']:.2f}x" if has_ratio else "",
                each["file"],
                f"{each['bytes'] / _MILLION:.1f}",
            )
        )
    return "\n".join(lines) + "\n"


def by_operator(cost: Mapping[str, Any]) -> str:
    """Where the instructions of a bundle go: a table by kind and one by operator, dearest first."""
    operators: list[Row] = [
        (each["name"], each["executed"], each["macs"]) for each in cost["operators"]
    ]
    kinds = dict.fromkeys(each["kind"] for each in cost["operators"])
    by_kind = [
        _sum(kind, (row for row, each in zip(operators, cost["operators"], strict=True)
                    if each["kind"] == kind))
        for kind in kinds
    ]  # fmt: skip
    _, inside, macs = _sum("", operators)
    whole = [("outside of them", cost["executed"] - inside, 0), ("all", cost["executed"], macs)]
    return "\n".join(
        [
            f"{cost['file']}: where the instructions go, in millions.",
            "",
            *_rows("kind of operator", by_kind, cost["executed"]),
            *(_row(row, cost["executed"]) for row in whole),
            "",
            *_rows("operator", operators, cost["executed"]),
            "",
        ]
    )


def sizes(bytes_of: Mapping[str, int]) -> str:
    """What each way to run a model takes on a board."""
    lines = ["| on the board | MB |", "|---|---:|"]
    lines += [_line(name, f"{size / _MILLION:,.0f}") for name, size in bytes_of.items()]
    return "\n".join(lines) + "\n"


def _rows(title: str, rows: Iterable[Row], of: int) -> Iterable[str]:
    yield _line(title, "instructions", "share", "MAC", "MAC each instruction")
    yield "|---|---:|---:|---:|---:|"
    yield from (_row(row, of) for row in sorted(rows, key=lambda row: -row[1]))


def _row(row: Row, of: int) -> str:
    name, executed, macs = row
    return _line(
        name,
        f"{executed / _MILLION:,.2f}",
        f"{executed / of:.1%}",
        f"{macs / _MILLION:,.1f}" if macs else "",
        f"{macs / executed:.1f}" if macs and executed > 0 else "",
    )


def _sum(name: str, rows: Iterable[Row]) -> Row:
    rows = list(rows)
    return name, sum(executed for _, executed, _ in rows), sum(macs for _, _, macs in rows)


def _line(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _case(cost: Mapping[str, Any]) -> tuple[int, int, str]:
    return cost["classes"], cost["input_size"], cost["precision"]
