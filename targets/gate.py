"""The gate after every compilation: does the bundle compute what the model's graph means?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx
from rich.console import Console
from rich.progress import Progress

from edge_passd.engines.base import Engine
from edge_passd.errors import BadInput
from edge_passd.parity import Limits, compare
from targets.reference import Reference


def check(
    engine: Engine, ran: str, model: onnx.ModelProto, photos: Sequence[Path], limits: Limits,
    console: Console,
) -> Mapping[str, Any]:  # fmt: skip
    """The parity record of what `engine` has loaded; BadInput if it computes something else.

    ran: what that is, in words. The yardstick is `targets.reference`: integers to the last bit.
    """
    with Progress(console=console, transient=True) as bars:
        bar = bars.add_task("checking against the graph", total=len(photos))
        record = compare(Reference(model), engine, photos, limits, lambda: bars.advance(bar))
    if record.problem:
        raise BadInput(f"parity gate: {record.problem}; nothing was written")
    return {**record.to_dict(), "against": "the graph's exact arithmetic", "ran": ran}
