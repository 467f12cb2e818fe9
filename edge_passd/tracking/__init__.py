"""Tracks through a film: the same animal keeps its number, lines and zones count it.

    tracker, counters = Tracker(), Counters(lines=[parse_line("door:0.2,0.7,0.8,0.7")])
    tracked = tracker.update(detector.detect(image), time_s)
    events = counters.update(tracked, time_s, size=(width, height))

Numpy alone. Libraries that track weigh more than all the rest of a board's installation (197 MB):
unpacked on ARM, `supervision` 0.31 and `trackers` 2.6 add 308 and 309 MB (SciPy 120, PyAV 99,
matplotlib, Pillow), SciPy 1.17 for the assignment alone 120, `lap` 0.5 three, compiled, for what is
fifty lines here.
"""

from edge_passd.tracking.clock import LOST_S
from edge_passd.tracking.counting import Counters, Counts
from edge_passd.tracking.regions import Line, Zone, parse_line, parse_zone
from edge_passd.tracking.tracker import Tracker, TrackerOptions

__all__ = [
    "LOST_S",
    "Counters",
    "Counts",
    "Line",
    "Tracker",
    "TrackerOptions",
    "Zone",
    "parse_line",
    "parse_zone",
]
