"""Everything that decides a training run, as one JSON object in the run folder."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from edge_passd.errors import BadInput
from quant.data.augment import AugmentConfig

_LEAST = (
    ("epochs", 1),
    ("batch_size", 1),
    ("eval_every", 1),
    ("workers", 0),
    ("seed", 0),
    ("weight_decay", 0),
    ("warmup_epochs", 0),
)


@dataclass(frozen=True)
class TrainConfig:
    """One run's recipe.

    data: folder of the data set; init: backbone weights, or None to train from scratch.
    learning_rate: of the new layers; the backbone's is `backbone_rate` times it.
    schedule: cosine to zero, or steps x0.1 at 60% and 80% of the run (the paper's 150 and 200 of
        250 epochs); `warmup_epochs` lead up from 1e-6.
    sizes: progressive resizing, (input size, share of the epochs) in order; () trains at the
        model's own size throughout.
    frozen_blocks: the stem and so many backbone blocks keep their weights; -1 freezes none.
    ema: decay per step of the averaged weights that are measured and shipped; 0 turns it off.
    gradient_clip: largest norm of the whole gradient.
    """

    data: str
    init: str | None = None
    epochs: int = 60
    batch_size: int = 32
    optimiser: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = 4e-4
    backbone_rate: float = 0.25
    weight_decay: float = 0.01
    schedule: Literal["cosine", "steps"] = "cosine"
    warmup_epochs: float = 1.0
    sizes: tuple[tuple[int, float], ...] = ()
    frozen_blocks: int = -1
    ema: float = 0.998
    gradient_clip: float = 30.0
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    seed: int = 0
    eval_every: int = 1
    save_seconds: float = 120.0
    workers: int = 0
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        for name, least in _LEAST:
            if not getattr(self, name) >= least:  # nor NaN
                raise BadInput(f"{name} must be {least} or more, not {getattr(self, name)}")
        for name in ("learning_rate", "gradient_clip"):
            if not getattr(self, name) > 0:
                raise BadInput(f"{name} must be above 0, not {getattr(self, name)}")
        if not 0 <= self.ema < 1:
            raise BadInput(f"ema must be at least 0 and below 1, not {self.ema}")
        if sum(share for _, share in self.sizes) > 1 + 1e-6:
            raise BadInput("sizes: the shares of the epochs add up to more than 1")
        for size, share in self.sizes:
            if size < 64 or size % 64 or not 0 < share <= 1:
                raise BadInput(
                    f"sizes: {size}:{share} is not a multiple of 64 px with a share above 0 to 1"
                )

    def input_size(self, epoch: int, full_size: int) -> int:
        """Size that epoch `epoch` trains at."""
        end = 0.0
        for size, share in self.sizes:
            end += share
            if epoch < round(end * self.epochs):
                return size
        return full_size

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any], source: Path) -> TrainConfig:
        """Inverse of `to_dict` after a round through JSON, read from the file `source`.

        Raises BadInput that names the file and what does not fit.
        """
        values = dict(values)
        try:
            augment = {k: _tuples(v) for k, v in values.pop("augment", {}).items()}
            return cls(
                augment=AugmentConfig(**augment), **{k: _tuples(v) for k, v in values.items()}
            )
        except (TypeError, ValueError, AttributeError, BadInput) as error:
            raise BadInput(
                f"{source}: not a training configuration of this version ({error}); train anew"
            ) from error


def parse_sizes(text: str) -> tuple[tuple[int, float], ...]:
    """ "192:0.45,256:0.3" to ((192, 0.45), (256, 0.3)); BadInput for anything else."""
    try:
        pairs = [part.split(":") for part in text.split(",") if part]
        return tuple((int(size), float(share)) for size, share in pairs)
    except ValueError:
        raise BadInput(f"sizes: {text!r} is not of the form 192:0.45,256:0.3") from None


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value
