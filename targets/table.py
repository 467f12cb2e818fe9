"""The targets there are. To add one: a file with its boards, and a row here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from importlib import import_module
from typing import Protocol, cast

from edge_passd.bundle.machine import this_machine
from edge_passd.errors import BadInput
from targets.board import Board, find_board

NATIVE = "native"
TARGETS = {"arm": "targets.arm", "x86": "targets.x86"}


class Target(Protocol):
    """What a target's file has. DEFAULT: the board of a machine nobody named."""

    MACHINE: str
    DEFAULT: str
    BOARDS: Mapping[str, Board]
    native: Callable[[Set[str]], Board]


def choose_board(target: str, board: str | None) -> Board:
    """The preset named `board`; None: this machine's, or the target's default on another one.

    Raises BadInput for a name that is not known, or `native` on a machine of another kind.
    """
    module = cast(Target, import_module(TARGETS[target]))
    here = this_machine()
    same = here.architecture == module.MACHINE
    if board == NATIVE and not same:
        raise BadInput(f"this machine is {here.architecture}, so it has no native {target} board")
    if board == NATIVE or (board is None and same):
        return module.native(here.features or frozenset())
    return find_board(module.BOARDS, board or module.DEFAULT)
