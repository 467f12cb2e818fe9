"""The same animal, the same number: detections of one frame after the other become tracks.

ByteTrack (Zhang et al. 2022, algorithm 1): sure detections are paired with the tracks first, and
then the weak ones with the tracks that are left, because a detector that loses sight of something
loses its score before its box. Pairs are made for the greatest sum of IoU with the boxes that a
Kalman filter predicts.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from edge_passd import boxes as geometry
from edge_passd.detections import Detections
from edge_passd.tracking import kalman
from edge_passd.tracking.assignment import assign
from edge_passd.tracking.clock import LOST_S, Clock

# What an overlap counts when the classes differ: a detector may change its mind about an animal,
# but another animal of the right class at the same place goes first.
OTHER_CLASS = 0.5
# From this IoU on, two detections are one animal under two names.
SAME_ANIMAL = 0.7
# Tracks out of sight that are kept at most; the longest unseen go first.
MOST_LOST = 1000


@dataclass(frozen=True)
class TrackerOptions:
    """How detections become tracks.

    conf: score, 0-1, from which a detection is sure: it starts a track or goes on with one.
    low: score from which it may go on with a track that was there a frame ago.
    iou, low_iou: least overlap of such a detection with the box that its track predicts.
    hits: frames in which something is seen before it gets an id. In the first frame all get one.
    lost_s: seconds for which a track that is out of sight is remembered.
    Raises ValueError for a value out of range.
    """

    conf: float = 0.4
    low: float = 0.1
    iou: float = 0.1
    low_iou: float = 0.3
    hits: int = 2
    lost_s: float = LOST_S

    def __post_init__(self) -> None:
        shares = (self.conf, self.low, self.iou, self.low_iou)
        if not all(0 <= share <= 1 for share in shares) or self.hits < 1 or not self.lost_s >= 0:
            raise ValueError(f"out of range: {self}")


@dataclass(frozen=True)
class _Tracks:
    """T tracks.

    ids: (T,) int64, 0 for one that is too young for an id. votes: (T, C) float64, the sum of its
    scores for each class. hits: (T,) int64, frames in which it was seen. seen_s, seen_frame: (T,)
    float64, when last, by the tracker's clock.
    """

    motion: kalman.Motion
    ids: np.ndarray
    votes: np.ndarray
    hits: np.ndarray
    seen_s: np.ndarray
    seen_frame: np.ndarray

    @property
    def labels(self) -> np.ndarray:
        """(T,) int64: the class that most scores speak for."""
        return self.votes.argmax(axis=1)

    def take(self, index: np.ndarray) -> _Tracks:
        """The tracks at `index`: positions or a mask."""
        rest = (getattr(self, field.name)[index] for field in fields(self)[1:])
        return _Tracks(self.motion.take(index), *rest)

    def join(self, other: _Tracks) -> _Tracks:
        """These and then the others."""
        rest = ((getattr(self, f.name), getattr(other, f.name)) for f in fields(self)[1:])
        return _Tracks(kalman.join(self.motion, other.motion), *map(np.concatenate, rest))


class Tracker:
    """Gives detections the ids of their tracks: 1, 2, ... in the order in which they get one.

    The same detections at the same times get the same ids. Not for several threads at once.
    """

    def __init__(self, options: TrackerOptions | None = None) -> None:
        self.options = options or TrackerOptions()
        self._clock = Clock()
        self._tracks: _Tracks | None = None
        self._last_id = 0

    def update(self, detections: Detections, time_s: float) -> Detections:
        """Those of `detections` that belong to a track with an id, with their ids.

        detections: of one frame, from the model's score threshold up: weak ones are used too.
        time_s: of that frame, seconds; where it goes back, no time has passed.
        Returns boxes and scores as they came and in their order; the labels are those of the
        tracks and do not flicker. Raises ValueError for a time or a box that is not finite.
        """
        if not np.isfinite(detections.boxes).all():
            raise ValueError("a box is not finite")
        seconds = self._clock.tick(time_s)
        measured = self._begin(detections)
        is_first = self._tracks is None
        tracks = self._predict(
            measured.take(_NONE) if self._tracks is None else self._tracks, seconds
        )
        match = self._match(tracks, detections)
        seen = np.flatnonzero(match >= 0)
        fresh = self._fresh(detections, seen)
        followed = _go_on(tracks.take(match[seen]), measured.take(seen))
        in_sight = self._name(
            followed.join(measured.take(fresh)), 1 if is_first else self.options.hits
        )
        unseen = np.setdiff1d(np.flatnonzero(tracks.ids), match[seen])
        self._tracks = in_sight.join(_out_of_sight(tracks.take(unseen)))
        return _shown(detections, np.concatenate([seen, fresh]), in_sight)

    def _begin(self, detections: Detections) -> _Tracks:
        """A track of each detection, seen now for the first time."""
        count = len(detections)
        votes = np.zeros((count, len(detections.classes)))
        votes[np.arange(count), detections.labels] = detections.scores
        return _Tracks(
            kalman.start(geometry.centres(detections.boxes.astype(np.float64))),
            np.zeros(count, np.int64),
            votes,
            np.ones(count, np.int64),
            np.full(count, self._clock.seconds),
            np.full(count, self._clock.frames),
        )

    def _predict(self, tracks: _Tracks, seconds: float) -> _Tracks:
        """The tracks of the frame before that are remembered, `seconds` later."""
        lost = self._clock.is_lost(tracks.seen_s, tracks.seen_frame, self.options.lost_s)
        tracks = tracks.take(~lost)
        return replace(tracks, motion=kalman.predict(tracks.motion, seconds))

    def _match(self, tracks: _Tracks, detections: Detections) -> np.ndarray:
        """(K,) int64: the track of each detection, -1 for none."""
        options, scores = self.options, detections.scores
        expected = geometry.corners(tracks.motion.centres)
        gain = geometry.iou(expected, detections.boxes.astype(np.float64))
        gain[tracks.labels[:, None] != detections.labels[None, :]] *= OTHER_CLASS
        match = np.full(len(detections), -1)
        free = np.ones(len(tracks.ids), bool)
        sure = scores >= options.conf
        weak = (scores >= options.low) & ~sure
        known = tracks.ids > 0
        in_sight = known & (tracks.seen_frame == self._clock.frames - 1)
        for of_tracks, of_detections, least in (
            (known, sure, options.iou),
            (in_sight, weak, options.low_iou),
            (~known, sure, options.iou),
        ):
            rows = np.flatnonzero(of_tracks & free)
            columns = np.flatnonzero(of_detections & (match < 0))
            part = gain[np.ix_(rows, columns)]
            first, second = assign(np.where(part >= least, part, 0.0))
            match[columns[second]] = rows[first]
            free[rows[first]] = False
        return match

    def _fresh(self, detections: Detections, seen: np.ndarray) -> np.ndarray:
        """The sure detections that start a track, beside those that were `seen` as one."""
        taken = list(seen)
        for each in np.setdiff1d(np.flatnonzero(detections.scores >= self.options.conf), seen):
            overlap = geometry.iou(detections.boxes[[each]], detections.boxes[taken])
            if not (overlap >= SAME_ANIMAL).any():
                taken.append(each)
        return np.array(taken[len(seen) :], np.int64)

    def _name(self, tracks: _Tracks, hits: int) -> _Tracks:
        """The same, with an id for each that was seen `hits` times."""
        new = np.flatnonzero((tracks.ids == 0) & (tracks.hits >= hits))
        ids = tracks.ids.copy()
        ids[new] = self._last_id + 1 + np.arange(len(new))
        self._last_id += len(new)
        return replace(tracks, ids=ids)


_NONE = np.zeros(0, np.int64)


def _go_on(tracks: _Tracks, measured: _Tracks) -> _Tracks:
    """Tracks after each was measured."""
    return replace(
        measured,
        motion=kalman.correct(tracks.motion, measured.motion.centres),
        ids=tracks.ids,
        votes=tracks.votes + measured.votes,
        hits=tracks.hits + measured.hits,
    )


def _out_of_sight(tracks: _Tracks) -> _Tracks:
    """Of tracks that were not seen, those to remember."""
    latest = np.argsort(-tracks.seen_frame, kind="stable")[:MOST_LOST]
    return tracks.take(np.sort(latest))


def _shown(detections: Detections, index: np.ndarray, tracks: _Tracks) -> Detections:
    """The detections at `index`, each of one of `tracks`, as far as those have an id."""
    order = np.argsort(index)
    order = order[tracks.ids[order] > 0]
    chosen = index[order]
    return Detections(
        detections.boxes[chosen],
        detections.scores[chosen],
        tracks.labels[order],
        detections.classes,
        tracks.ids[order],
    )
