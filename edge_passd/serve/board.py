"""The board's heat, clock and power while somebody watches, read every other second."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from pathlib import Path
from typing import Any

from edge_passd.board import find_meter, identify, judge, read_signs, read_zones
from edge_passd.board.clocks import cpu_mhz
from edge_passd.board.heat import Signs, hottest
from edge_passd.board.power import Meter

INTERVAL_S = 2.0
_REMEMBERED = 30  # readings that throttling is judged by: a minute


class Board:
    """Reads in a thread of the event loop's pool: a sensor may take its time to answer."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._signs: deque[Signs] = deque(maxlen=_REMEMBERED)
        self._model: str | None = None
        self._meter: Meter | None = None
        self._is_known = False
        self._due_s = 0.0
        self._last: dict[str, Any] = {}

    async def to_dict(self) -> dict[str, Any]:
        """For JSON; empty until the first reading is there, and None for what cannot be read.

        celsius: of the hottest sensor; watts: of what `measures` names; throttled: yes, no or
        unknown, over the last minute in which somebody watched.
        """
        now_s = time.monotonic()
        if now_s >= self._due_s:
            self._due_s = float("inf")  # nobody else asks meanwhile
            try:
                self._last = await asyncio.to_thread(self._read)
            finally:
                self._due_s = time.monotonic() + INTERVAL_S
        return self._last

    def close(self) -> None:
        """Let go of the meter."""
        if self._meter:
            self._meter.close()

    def _read(self) -> dict[str, Any]:
        if not self._is_known:
            identity = identify(self._root)
            self._model, (self._meter, _) = identity.model, find_meter(identity.kind, self._root)
            self._is_known = True
        zone = hottest(read_zones(self._root))
        self._signs.append(read_signs(self._root))
        throttling = judge(self._signs)
        watts = self._meter.read(time.monotonic()).value if self._meter else None
        mhz = cpu_mhz(self._root)
        return {
            "model": self._model,
            "celsius": round(zone.celsius, 1) if zone else None,
            "zone": zone.name if zone else None,
            "throttled": throttling.state,
            "reason": throttling.reason,
            "cpu_mhz": round(mhz) if mhz else None,
            "watts": round(watts, 2) if watts else None,
            "measures": self._meter.measures if self._meter else None,
        }
