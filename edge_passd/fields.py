"""JSON objects from outside: each field checked by a row of a table, each error one line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from edge_passd.errors import BadInput

LONGEST_QUOTE = 60  # characters of a bad value that an error shows

_WORD = re.compile(r"\w[\w.+-]*", re.ASCII)


class Field(NamedTuple):
    """is_good: tells a value that may stand there. wanted: what it must be, for the error."""

    is_good: Callable[[Any], bool]
    wanted: str


@dataclass(frozen=True)
class JsonText:
    """A JSON text and how errors speak of it: `blame` says what is broken, `cure` what to do."""

    text: str | bytes
    blame: str
    cure: str

    def error(self, problem: object) -> BadInput:
        """The error for a problem in it."""
        return BadInput(f"{self.blame}: {problem}; {self.cure}")

    def values(self) -> dict[str, Any]:
        """The object; BadInput if it is none."""
        try:
            values = json.loads(self.text)
        except (ValueError, RecursionError) as error:
            raise self.error(error) from None
        if not isinstance(values, dict):
            raise self.error("not a JSON object")
        return values

    def fields(
        self, values: Mapping[str, Any], table: Mapping[str, Field], prefix: str = ""
    ) -> dict[str, Any]:
        """The fields of `values` that the table knows; BadInput names the first that is wrong.

        prefix: the path of `values` within the object.
        """
        for name, (is_good, wanted) in table.items():
            if name not in values:
                raise self.error(f"{prefix + name!r} is missing")
            if not is_good(values[name]):
                found = json.dumps(values[name])[:LONGEST_QUOTE]
                raise self.error(f"{prefix + name!r} must be {wanted}, not {found}")
        return {name: values[name] for name in table}


def is_text(value: Any) -> bool:
    """A string with something in it."""
    return isinstance(value, str) and bool(value)


def is_word(value: Any) -> bool:
    """A name that means nothing to a file system, a terminal or a shell: no / \\ .. or blank."""
    return isinstance(value, str) and _WORD.fullmatch(value) is not None


def is_count(value: Any) -> bool:
    """A positive whole number; bool is an int too, and no count."""
    return type(value) is int and value > 0


def is_size(value: Any) -> bool:
    """A whole number from 0 up."""
    return type(value) is int and value >= 0


def is_fraction(value: Any) -> bool:
    """A number from 0 to 1."""
    return type(value) in (int, float) and 0 <= value <= 1


def is_object(value: Any) -> bool:
    """A JSON object."""
    return isinstance(value, dict)


def is_list_of(is_good: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """The check for a list, possibly empty, of values that are good."""
    return lambda value: isinstance(value, list) and all(map(is_good, value))


TEXT = Field(is_text, "a name")
WORD = Field(is_word, "a word of letters, digits and . _ + -")
WORDS = Field(is_list_of(is_word), f"a list, each {WORD.wanted}")
COUNT = Field(is_count, "a positive whole number")
FRACTION = Field(is_fraction, "a number from 0 to 1")
OBJECT = Field(is_object, "an object")
