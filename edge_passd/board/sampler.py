"""Clocks, temperatures, throttling and power, sampled in the background of a measurement."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event
from types import TracebackType

from edge_passd.board.clocks import cpu_mhz, gpu_mhz
from edge_passd.board.heat import hottest, read_signs, read_zones
from edge_passd.board.identity import identify
from edge_passd.board.power import Meter, find_meter
from edge_passd.board.record import Record, Sample
from edge_passd.errors import BadInput

INTERVAL_S = 0.5


class Sampler:
    """A context in which the machine is watched; afterwards `record` holds what was seen.

        with Sampler() as idle:
            time.sleep(5)
        with Sampler() as sampler:
            ...  # what is measured
        summary = summarise(sampler.record, frames=100, idle=idle.record)

    The first sample is taken before the context is entered, the last when it ends, the others
    every `interval_s` seconds in a thread of their own. `power` False asks for no energy. Raises
    BadInput unless the interval is more than 0.
    """

    def __init__(
        self,
        root: Path = Path("/"),
        interval_s: float = INTERVAL_S,
        power: bool = True,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        if not interval_s > 0:
            raise BadInput(f"sampling every {interval_s:g} s: the interval must be more than 0 s")
        self.record: Record
        self._root, self._interval_s, self._power, self._clock = root, interval_s, power, clock
        self._samples: list[Sample] = []
        self._busy_s = 0.0  # processor time of the samples
        self._meter: Meter | None = None

    @property
    def samples(self) -> tuple[Sample, ...]:
        """Those taken so far."""
        return tuple(self._samples)

    def __enter__(self) -> Sampler:
        self._no_meter = ""
        if self._power:
            self._meter, self._no_meter = find_meter(identify(self._root).kind, self._root)
        self._samples, self._busy_s, self._ended = [], 0.0, Event()
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="sampler")
        self._start_s = self._clock()
        self._sample(whole=True)
        self._task: Future[None] = self._executor.submit(self._watch)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._executor.shutdown()
        self._sample(whole=True)
        meter = self._meter
        self.record = Record(
            samples=self.samples,
            start_s=self._start_s,
            asked_for_power=self._power,
            meter=meter.name if meter else None,
            measures=meter.measures if meter else None,
            averages=meter.averages if meter else False,
            no_meter=self._no_meter,
            busy_s=self._busy_s,
        )
        if meter:
            meter.close()
        self._task.result()  # an error in the thread is one here

    def _watch(self) -> None:
        while not self._ended.wait(self._interval_s):
            self._sample(whole=False)

    def _sample(self, whole: bool) -> None:
        busy = time.thread_time()
        now_s = self._clock()
        power = self._meter.read(now_s) if self._meter else None
        zone = hottest(read_zones(self._root))
        self._samples.append(
            Sample(
                time_s=now_s - self._start_s,
                zone=zone.name if zone else None,
                celsius=zone.celsius if zone else None,
                cpu_mhz=cpu_mhz(self._root),
                gpu_mhz=gpu_mhz(self._root),
                signs=read_signs(self._root, whole),
                watts=power.value if power else None,
                problem=power.problem if power else "",
            )
        )
        self._busy_s += time.thread_time() - busy
