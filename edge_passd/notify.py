"""systemd's notification protocol, sd_notify(3): one datagram for each change of state."""

from __future__ import annotations

import os
import socket
from contextlib import suppress


def notify(state: str) -> None:
    """Tell the service manager, where there is one; a state such as "READY=1".

    One that cannot be reached is no reason to stop working.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):  # Linux's abstract names, which stand in no folder
        address = "\0" + address[1:]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.setblocking(False)
        channel.sendto(state.encode(), address)


def watchdog_interval() -> float | None:
    """Seconds without a sign of life after which the manager restarts us; None if it never does."""
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    owner = os.environ.get("WATCHDOG_PID", "")
    if not microseconds.isdigit() or int(microseconds) == 0:
        return None
    # Meant for another process of the unit, such as a shell around this one.
    if owner and owner != str(os.getpid()):
        return None
    return int(microseconds) / 1e6
