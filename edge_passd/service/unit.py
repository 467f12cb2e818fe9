"""The text of a systemd unit that keeps `edge-passd run` running with as few rights as possible."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

MARK = "# Written by edge-passd's scripts/install_service; change it with `systemctl edit`."

_PLAIN = re.compile(r"[A-Za-z0-9_@+=:,./-]+")
# With which a restart is delayed longer every time came the keys for it.
_GROWING_DELAY = 254


@dataclass(frozen=True)
class Unit:
    """name: of the service, its user and its folder below /var/lib.

    command: absolute program and arguments. groups: the user is in, beside its own. devices: as
    DeviceAllow= takes them. environment: a file of NAME=VALUE that root alone reads. memory: as
    MemoryMax= takes it, None for no limit. shares_tmp: needs sockets that others put into /tmp.
    writes_code: its engine makes machine code while it runs. systemd: version of the manager.
    """

    name: str
    command: tuple[str, ...]
    environment: Path
    groups: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    memory: str | None = None
    shares_tmp: bool = False
    writes_code: bool = False
    systemd: int = 0


def quote(word: str) -> str:
    """One word of a command line as systemd.service(5) and systemd.syntax(7) want it.

    Raises ValueError for what no command line can hold: a NUL, or a name that is not UTF-8.
    """
    if "\0" in word or any("\ud800" <= each <= "\udfff" for each in word):
        raise ValueError(f"{word!r} cannot stand in a unit")
    if _PLAIN.fullmatch(word):
        return word
    return '"' + "".join(map(_escape, word)) + '"'


def unit_text(unit: Unit) -> str:
    """The unit, a line for each key."""
    command = " ".join(map(quote, unit.command))
    growing = ("RestartSteps=6", "RestartMaxDelaySec=5min") * (unit.systemd >= _GROWING_DELAY)
    sections = {
        "Unit": (
            "Description=Object detection with edge-passd",
            "Documentation=https://www.freedesktop.org/software/systemd/man/systemd.service.html",
            "Wants=network-online.target",
            "After=network-online.target",
            # It never gives up: a camera may be plugged in next week.
            "StartLimitIntervalSec=0",
        ),
        "Service": (
            "Type=notify",
            f"ExecStart={command}",
            f"EnvironmentFile=-{_path(unit.environment)}",
            f"WorkingDirectory=/var/lib/{unit.name}",
            "Restart=always",
            "RestartSec=10",
            *growing,
            # Ended by systemctl stop, it says what a Ctrl-C says.
            "SuccessExitStatus=130",
            "WatchdogSec=60",
            # Of a GPU's driver, the first start may compile for minutes.
            "TimeoutStartSec=10min",
            "TimeoutStopSec=30",
            *([f"MemoryMax={unit.memory}"] if unit.memory else []),
            "",
            f"User={unit.name}",
            *([f"SupplementaryGroups={' '.join(unit.groups)}"] if unit.groups else []),
            f"StateDirectory={unit.name}",
            "StateDirectoryMode=0750",
            "UMask=0027",
            "",
            "DevicePolicy=closed",
            *(f"DeviceAllow={quote(device)} rw" for device in unit.devices),
            f"PrivateTmp={_yes(not unit.shares_tmp)}",
            f"MemoryDenyWriteExecute={_yes(not unit.writes_code)}",
            *HARDENING,
        ),
        "Install": ("WantedBy=multi-user.target",),
    }
    parts = ["\n".join((f"[{name}]", *lines)) for name, lines in sections.items()]
    return "\n\n".join((MARK, *parts)) + "\n"


HARDENING = (
    "NoNewPrivileges=yes",
    "CapabilityBoundingSet=",
    "AmbientCapabilities=",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "ProtectProc=invisible",
    "ProtectClock=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "ProtectControlGroups=yes",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "RemoveIPC=yes",
    "LockPersonality=yes",
    "KeyringMode=private",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "SystemCallErrorNumber=EPERM",
)


def _escape(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character in "%$":  # specifiers and variables
        return character * 2
    if character < " " or character == "\x7f":
        return f"\\x{ord(character):02x}"
    return character


def _path(path: Path) -> str:
    """Of a key that takes one path: no quotes there, but specifiers."""
    return str(path).replace("%", "%%")


def _yes(value: bool) -> str:
    return "yes" if value else "no"
