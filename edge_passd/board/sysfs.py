"""The small text files and programs by which Linux tells of the machine.

Any may be absent or wrong. Nothing here raises for that: a reading that fails says why.
"""

from __future__ import annotations

import os
import re
import subprocess
from itertools import islice
from pathlib import Path
from typing import NamedTuple

LONGEST_LINE = 120  # characters of a name that a report shows
PATIENCE_S = 3.0  # for a program to answer

_BLOCK, _MOST_BLOCKS = 65536, 64  # bytes; all of /proc/cpuinfo, and not all of /dev/zero
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,18}")


class Text(NamedTuple):
    """text: None if it could not be read; problem: then why, with the path."""

    text: str | None
    problem: str


class Number(NamedTuple):
    """value: None if it could not be read; problem: then why, with the path."""

    value: float | None
    problem: str


def read_text(path: Path) -> Text:
    """The content, stripped of blanks and of the NUL that ends a string in a device tree."""
    try:
        # A sensor that is switched off answers "try again" for ever. Through a descriptor that
        # does not block this is an OSError, while a Python file would trip over it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            blocks = iter(lambda: os.read(descriptor, _BLOCK), b"")
            content = b"".join(islice(blocks, _MOST_BLOCKS))
        finally:
            os.close(descriptor)
    except OSError as error:
        return Text(None, f"{path}: {os.strerror(error.errno or 0).lower()}")
    return Text(content.decode("utf-8", errors="replace").strip("\0 \t\r\n"), "")


def read_number(path: Path) -> Number:
    """The whole number that is all of the content."""
    text, problem = read_text(path)
    if text is None:
        return Number(None, problem)
    if not _WHOLE_NUMBER.fullmatch(text):
        return Number(None, f"{path}: holds no number")
    return Number(int(text), "")


def read_line(path: Path) -> str:
    """The content as one printable line that is not too long; "" if it cannot be read."""
    return printable(read_text(path).text or "")


def printable(text: str) -> str:
    """A text from outside, fit for a table: one line without control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:LONGEST_LINE]


def children(folder: Path, pattern: str) -> list[Path]:
    """What is in a folder with a name that all of `pattern` (a regular expression) matches.

    Numbered names come in the order of their numbers; none if the folder cannot be read.
    """
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    found = filter(re.compile(pattern).fullmatch, names)
    return [folder / name for name in sorted(found, key=lambda name: (len(name), name))]


def ask(program: Path, *arguments: str) -> Text:
    """What a program prints; a problem if it is not there, fails, or takes too long."""
    try:
        done = subprocess.run(
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE_S,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        return Text(None, f"{program}: {os.strerror(error.errno or 0).lower()}")
    except subprocess.TimeoutExpired:
        return Text(None, f"{program}: no answer within {PATIENCE_S:g} s")
    if done.returncode:
        return Text(None, f"{program}: {printable(done.stderr or done.stdout) or 'failed'}")
    return Text(done.stdout, "")
