"""The targets there are. To add one: a file with its boards, and a row here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from importlib import import_module
from typing import Protocol, cast

from edge_passd.bundle.machine import this_machine
from edge_passd.errors import BadInput
from targets.board import Board
from targets.presets import NATIVE, find_board

CPUS = {"arm": "targets.arm", "x86": "targets.x86"}
TARGETS = (*CPUS, "cuda")  # whose boards `targets.cuda` chooses: they are of another kind


class Target(Protocol):
    """What the file of a CPU target has. DEFAULT: the board of a machine nobody named."""

    MACHINE: str
    DEFAULT: str
    BOARDS: Mapping[str, Board]
    native: Callable[[Set[str]], Board]


def choose_board(target: str, board: str | None) -> Board:
    """The preset named `board`; None: this machine's, or the target's default on another one.

    target: one of `CPUS`.
    Raises BadInput for a name that is not known, or `native` on a machine of another kind.
    """
    module = cast(Target, import_module(CPUS[target]))
    here = this_machine()
    same = here.machine == module.MACHINE
    if board == NATIVE and not same:
        raise BadInput(f"this machine is {here.machine}, so it has no native {target} board")
    if board == NATIVE or (board is None and same):
        return module.native(here.features or frozenset())
    return find_board(module.BOARDS, board or module.DEFAULT)


def native_board() -> Board:
    """This machine's preset. Raises BadInput on one that no target has."""
    machine = this_machine().machine
    for target, name in CPUS.items():
        if machine == cast(Target, import_module(name)).MACHINE:
            return choose_board(target, NATIVE)
    raise BadInput(f"no target for this machine, {machine}")


def board_named(name: str) -> Board:
    """The preset of that name, of whatever CPU target. Raises BadInput that lists them."""
    if name == NATIVE:
        return native_board()
    modules = [cast(Target, import_module(each)) for each in CPUS.values()]
    return find_board({k: board for each in modules for k, board in each.BOARDS.items()}, name)
