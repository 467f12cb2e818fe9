"""Colours and marks, on paper and on a dark screen.

Colours follow Okabe and Ito's palette, made darker or lighter until each stands out from its
background with a contrast of 3 or more; boards are told apart by those who see few colours too.
"""

from __future__ import annotations

from typing import NamedTuple


class Colour(NamedTuple):
    """name: of the page's variable. light, dark: #rrggbb on white and on a dark screen."""

    name: str
    light: str
    dark: str


PAPER = Colour("paper", "#fefefe", "#16191d")
INK = Colour("ink", "#1d2126", "#e8e9ea")
MUTED = Colour("muted", "#5a6068", "#a4abb3")
RULE = Colour("rule", "#d9dce0", "#363c43")
BOARDS = (
    Colour("board-1", "#0072b2", "#56b4e9"),
    Colour("board-2", "#c65000", "#ff8f45"),
    Colour("board-3", "#00805c", "#2cc79b"),
    Colour("board-4", "#a8488a", "#e59ac6"),
    Colour("board-5", "#8a6500", "#eab833"),
    Colour("board-6", "#5c5fbe", "#a3a6ff"),
    Colour("board-7", "#4f4f4f", "#c4c4c4"),
)
PRE = Colour("pre", "#8a6501", "#eab834")
INFER = Colour("infer", "#0072b3", "#56b4ea")
POST = Colour("post", "#a8488b", "#e59ac7")
COLOURS = (PAPER, INK, MUTED, RULE, *BOARDS, PRE, INFER, POST)

MARKERS = {"int8": "o", "fp16": "^", "fp32": "s"}
OTHER_MARKER = "D"  # of any other precision


def board_colour(number: int) -> Colour:
    """Of a board of the report, from 0; beyond seven boards the colours come again."""
    return BOARDS[number % len(BOARDS)]


def marker(precision: str) -> str:
    """The shape of a mark."""
    return MARKERS.get(precision, OTHER_MARKER)
