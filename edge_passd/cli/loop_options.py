"""Options that every command with a training loop takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

_OPTIONS = (
    click.option(
        "--freeze-blocks",
        "frozen_blocks",
        default=-1,
        show_default=True,
        help="Stem and first N; -1 none.",
    ),
    click.option("--ema", type=float, default=0.998, show_default=True, help="Decay; 0 is off."),
    click.option("--precision", type=click.Choice(["auto", "bf16", "fp32"]), default="auto"),
    click.option("--eval-every", default=1, show_default=True, help="Epochs between measurements."),
    click.option("--workers", type=int, help="Loader processes; by default as the cores allow."),
    click.option("--seed", default=0, show_default=True),
)


def loop_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add them; they reach the command as keyword arguments named as in `TrainConfig`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
