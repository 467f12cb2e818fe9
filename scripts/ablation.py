"""Does the mechanism work? Heads of the paper's ablation on one data set, seed and schedule.

    .venv/bin/python scripts/ablation.py --data DATA --init WEIGHTS.safetensors

Trains plain head, propose (clip) and propose-and-attend, measures each on val and writes
docs/ablation.md. Interrupt it as you like: the same command goes on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edge_passd.files import write_text
from quant.data.augment import AugmentConfig
from quant.run_folder import load_run
from quant.training.config import TrainConfig
from quant.training.train import resume, start

HEADS = ("plain", "propose", "propose-attend")
FIGURES = ("AP", "AP50", "AP75", "AP_S", "AP_M", "AP_L")


@click.command()
@click.option("--data", type=click.Path(path_type=Path), required=True)
@click.option("--init", type=click.Path(path_type=Path), required=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/ablation"))
@click.option("--input-size", default=192, show_default=True)
@click.option("--epochs", default=6, show_default=True)
@click.option("--page", type=click.Path(path_type=Path), default=Path("docs/ablation.md"))
def main(data: Path, init: Path, out: Path, input_size: int, epochs: int, page: Path) -> None:
    """Train the three heads and write the page."""
    config = TrainConfig(
        data=str(data.absolute()),
        init=str(init.absolute()),
        epochs=epochs,
        frozen_blocks=3,
        eval_every=epochs,
        augment=AugmentConfig(zoom_out=0.3, zoom_out_max=2.0),
    )
    rows = []
    for head in HEADS:
        run = out / head
        if (run / "training.json").exists():
            resume(run)
        else:
            start(run, config, head, input_size)
        model, figures = load_run(run)
        parameters = sum(p.numel() for p in model.parameters())
        rows.append((head, parameters, figures))
    write_text(page, page_text(rows, data.name, input_size, epochs))
    click.echo(f"wrote {page}")


def page_text(
    rows: list[tuple[str, int, dict[str, Any]]], data: str, input_size: int, epochs: int
) -> str:
    """The page: a table in percent, what was done, and what it can and cannot show."""
    lines = [
        "# The heads of the ablation, compared",
        "",
        f"{data}, {input_size} px, {epochs} epochs from ImageNet weights, seed 0, the same "
        f"pictures in the same order for each head; measured on {rows[0][2]['images']} val photos. "
        "Percent. Made by `scripts/ablation.py`.",
        "",
        "| head | parameters | " + " | ".join(FIGURES) + " |",
        "|---|---:|" + "---:|" * len(FIGURES),
    ]
    for head, parameters, figures in rows:
        cells = [f"{100 * figures[name]:.1f}" for name in FIGURES]
        lines.append(f"| {head} | {parameters:,} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "One seed and a short schedule on a small data set: the order is a hint, differences of a "
        "point or two are noise. AP_S counts objects under 32 x 32 pixels of the stored photo, of "
        "which val has few.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
