"""Stalls are said once, and systemd hears of life only while there is some: a real socket."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge_passd.notify import notify, watchdog_interval
from edge_passd.pipeline.watchdog import Watchdog


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """What systemd holds at the other end."""
    path = tmp_path / "notify"
    monkeypatch.setenv("NOTIFY_SOCKET", str(path))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(path))
        end.settimeout(5)
        yield end


def heard(manager: socket.socket) -> list[str]:
    """What has arrived so far."""
    manager.setblocking(False)
    said = []
    try:
        while True:
            said.append(manager.recv(100).decode())
    except BlockingIOError:
        return said


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.005)


def test_a_stall_and_its_end_are_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    said: list[str] = []
    with Watchdog(said.append, stalled_s=0.4) as watchdog:
        with watchdog.watching("the engine"):
            wait_for(lambda: bool(said))
            time.sleep(0.1)
            assert len(said) == 1
        wait_for(lambda: len(said) == 2)
        for _ in range(20):
            with watchdog.watching("the engine"):
                time.sleep(0.01)
    assert said[0].startswith("the engine stalls: no result for 0 s")
    assert said[1].startswith("the engine is back after ")
    assert len(said) == 2


def test_each_stall_is_told_by_its_name() -> None:
    said: list[str] = []
    with Watchdog(said.append, stalled_s=0.05) as watchdog:
        for stage in ("the engine", "an output"):
            with watchdog.watching(stage):
                wait_for(lambda stage=stage: any(f"{stage} stalls" in line for line in said))
            wait_for(lambda stage=stage: any(f"{stage} is back" in line for line in said))
    assert len(said) == 4


def test_systemd_hears_of_life_as_long_as_there_is_some(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "40000")
    with Watchdog(lambda line: None, stalled_s=0.1) as watchdog:
        assert manager.recv(100) == b"READY=1"
        assert manager.recv(100) == b"WATCHDOG=1"
        with watchdog.watching("the engine"):
            wait_for(lambda: watchdog._told is not None)
            heard(manager)
            time.sleep(0.15)
            assert heard(manager) == []
        manager.settimeout(5)
        assert manager.recv(100) == b"WATCHDOG=1"
    assert heard(manager)[-1] == "STOPPING=1"


def test_without_a_watchdog_in_the_unit_there_are_no_signs_of_life(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    with Watchdog(pytest.fail, stalled_s=0.02):
        time.sleep(0.1)
    assert heard(manager) == ["READY=1", "STOPPING=1"]


def test_a_name_without_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"edge-passd-test-{os.getpid()}"
    monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(f"\0{name}")
        end.settimeout(5)
        notify("READY=1")
        assert end.recv(100) == b"READY=1"


@pytest.mark.parametrize("address", ["", "/nowhere/at/all", "@nobody listens", "x" * 500])
def test_a_manager_that_is_not_there_is_no_trouble(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    notify("READY=1")


@pytest.mark.parametrize(
    ("microseconds", "owner", "seconds"),
    [
        ("30000000", None, 30.0),
        ("30000000", str(os.getpid()), 30.0),
        ("30000000", "1", None),  # meant for another process
        ("0", None, None),
        ("", None, None),
        ("soon", None, None),
        ("-5", None, None),
    ],
)
def test_how_often_systemd_wants_to_hear(
    microseconds: str, owner: str | None, seconds: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", microseconds)
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    if owner is not None:
        monkeypatch.setenv("WATCHDOG_PID", owner)
    assert watchdog_interval() == seconds
