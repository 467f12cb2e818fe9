"""The machine that a model runs on: who it is, its clocks, heat, throttling and power."""

from edge_passd.board.clocks import Clocks, read_clocks
from edge_passd.board.heat import Throttling, Zone, judge, read_signs, read_zones
from edge_passd.board.identity import Identity, identify
from edge_passd.board.power import find_meter
from edge_passd.board.record import Power, Record, Sample, Summary, Thermal, summarise
from edge_passd.board.sampler import Sampler

__all__ = [
    "Clocks",
    "Identity",
    "Power",
    "Record",
    "Sample",
    "Sampler",
    "Summary",
    "Thermal",
    "Throttling",
    "Zone",
    "find_meter",
    "identify",
    "judge",
    "read_clocks",
    "read_signs",
    "read_zones",
    "summarise",
]
