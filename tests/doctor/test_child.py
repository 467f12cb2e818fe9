"""Calls in a child process: what they return, and what their deaths are called."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any

import pytest

from edge_passd.doctor import child
from edge_passd.doctor.child import MOST_DEATHS, Call, call, series
from tests.doctor import fakes

LIMIT_S = 30.0
SHORT_S = 3.0  # more than a child takes to start here


def test_a_call_returns_what_its_function_does() -> None:
    outcome = call(fakes.echo, [1, "two"], limit_s=LIMIT_S)
    assert (outcome.value, outcome.problem, outcome.died) == ([1, "two"], "", False)


@pytest.mark.parametrize(
    ("function", "problem", "died"),
    [
        (fakes.aborts, "crashed (SIGABRT)", True),
        (fakes.leaves, "crashed (exit status 3)", True),
        (fakes.refuses, "No conversion rule for Foo", False),
    ],
)
def test_failures_have_names(function: Callable[..., Any], problem: str, died: bool) -> None:
    outcome = call(function, limit_s=LIMIT_S)
    assert (outcome.value, outcome.problem, outcome.died) == (None, problem, died)


def test_what_hangs_is_ended() -> None:
    outcome = call(fakes.hangs, limit_s=SHORT_S)
    assert (outcome.problem, outcome.died) == ("no answer within 3 s", True)


def test_after_a_crash_the_next_call_has_a_child_of_its_own() -> None:
    functions = (fakes.process_id, fakes.process_id, fakes.aborts, fakes.process_id)
    first, same, dead, next_child = series([Call(each) for each in functions], LIMIT_S)
    assert first.value == same.value != os.getpid()
    assert dead.died
    assert next_child.value not in (None, first.value)


def test_after_some_crashes_nothing_more_is_tried() -> None:
    outcomes = list(series([Call(fakes.aborts)] * (MOST_DEATHS + 2), LIMIT_S))
    assert [each.died for each in outcomes] == [True] * MOST_DEATHS + [False] * 2
    assert {each.problem for each in outcomes[MOST_DEATHS:]} == {
        "not tried after the crashes before"
    }


def test_a_machine_that_starts_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(_: object) -> None:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(child._context.Process, "start", no_memory)
    outcomes = list(series([Call(fakes.echo, (1,))] * 2, LIMIT_S))
    assert [each.problem for each in outcomes] == ["no process for it: Cannot allocate memory"] * 2


def test_a_child_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    assert call(fakes.shouts, limit_s=LIMIT_S).value == "quiet"
    assert capfd.readouterr() == ("", "")
