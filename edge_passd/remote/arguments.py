"""The options of `edge-passd bench` that a board gets as the user wrote them."""

from __future__ import annotations

import click
from click.core import ParameterSource

# What names a file here, or says where the row goes.
HERE = ("model", "photo", "data", "baseline", "against", "json", "remote", "progress_lines")


def passed_on(context: click.Context) -> tuple[str, ...]:
    """Those given on the command line, one argument each, but those of `HERE`."""
    given = (
        (each, context.params[each.name])
        for each in context.command.params
        if each.name not in (None, *HERE)
        and context.get_parameter_source(str(each.name)) is ParameterSource.COMMANDLINE
    )
    return tuple(
        each.opts[0]
        if isinstance(each, click.Option) and each.is_flag
        else f"{each.opts[0]}={value}"
        for each, value in given
    )
