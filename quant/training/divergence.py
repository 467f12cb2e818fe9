"""Stops a training that has gone wrong before it overwrites anything good."""

from __future__ import annotations

import math

from edge_passd.errors import BadInput
from quant.training.checkpoint import State

# A healthy loss falls; when its average over some hundred steps stands at several times its lowest
# value the weights are gone, often without a single NaN.
LIMIT = 4.0
MEMORY = 0.98


def guard(state: State, loss: float, norm: float, warming_up: bool) -> None:
    """Raise BadInput if `loss` or the gradient `norm` is not finite, or the loss has blown up.

    Call it before the optimiser step, so that the weights are still the last good ones.
    """
    if not (math.isfinite(loss) and math.isfinite(norm)):
        raise BadInput(
            f"training diverged at step {state.step}: loss {loss:.4g}, gradient norm {norm:.4g}; "
            "the last good checkpoint is kept: lower --lr and start again, or look for broken boxes"
        )
    before = loss if state.loss_average is None else state.loss_average
    state.loss_average = MEMORY * before + (1 - MEMORY) * loss
    if warming_up:
        return
    if state.lowest_average is None or state.loss_average < state.lowest_average:
        state.lowest_average = state.loss_average
    elif state.loss_average > LIMIT * state.lowest_average:
        raise BadInput(
            f"training diverged at step {state.step}: the loss rose from "
            f"{state.lowest_average:.3g} to {state.loss_average:.3g}; the last good checkpoint is "
            "kept: lower --lr and start again"
        )
