"""Options in groups, so that a long --help can be read, and numbers that are some."""

from __future__ import annotations

import math
from typing import Any

import click

OTHERS = "Other"


class GroupedOption(click.Option):
    """group: the heading under which --help shows it."""

    def __init__(self, *arguments: Any, group: str = OTHERS, **attributes: Any) -> None:
        super().__init__(*arguments, **attributes)
        self.group = group


class GroupedCommand(click.Command):
    """Groups stand in the order of their first option, the ungrouped at the end."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            # Arguments are told about in the text above.
            if record is not None and isinstance(parameter, click.Option):
                groups.setdefault(getattr(parameter, "group", OTHERS), []).append(record)
        groups[OTHERS] = groups.pop(OTHERS, [])
        for name, rows in groups.items():
            if rows:
                with formatter.section(name):
                    formatter.write_dl(rows)


ALLOW_SATURATION = "Run an int8 model whose sums saturate on this processor; boxes are off."


class Finite(click.FloatRange):
    """A number in a range: click's own lets "nan" pass, which is in none, and "inf"."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a number", param, ctx)
        return number
