"""How boxes move: a Kalman filter of constant velocity, all tracks at once.

The state of a box is its centre and size and the velocity of the centre, nearly as in SORT (Bewley
et al. 2016, section 3.2). The size has no rate: a box that something covers little by little seems
to shrink, and would vanish in the time that it is out of sight. The noise is a share of the box's
side, the same for x and y, and the two do not mix; so the covariance is twice the same 2 x 2
matrix, of which three numbers are kept, and the gain is one for the box.

Time is in seconds, because a live source skips frames: the velocity changes by white noise
(Bar-Shalom, Li and Kirubarajan 2001, section 6.2.2), and so two short steps are one long step.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

# Standard deviations, as shares of the side of a box: of a measured centre; of the unknown speed of
# a new box, per second; of what the speed gains in a second.
MEASURED = 0.05
FIRST_SPEED = 1.0
SPEED_CHANGE = 3.0

SMALLEST = 1.0  # pixels: the side of no box, and so no noise, vanishes


@dataclass(frozen=True)
class Motion:
    """T boxes in motion, float64.

    centres: (T, 4) cx cy w h, pixels. velocities: (T, 2) of cx and cy, pixels per second.
    covariance: (T, 3): variance of a centre, its covariance with the velocity, variance of that.
    sides: (T,) of the boxes when last measured, geometric mean of width and height, pixels.
    """

    centres: np.ndarray
    velocities: np.ndarray
    covariance: np.ndarray
    sides: np.ndarray

    def take(self, index: np.ndarray) -> Motion:
        """The boxes at `index`: positions or a mask."""
        return Motion(*(getattr(self, field.name)[index] for field in fields(self)))


def start(centres: np.ndarray) -> Motion:
    """(T, 4) measured boxes at rest, as far as is known."""
    centres = np.asarray(centres, np.float64)
    sides = _sides(centres)
    nothing = np.zeros(len(centres))
    covariance = np.stack([(MEASURED * sides) ** 2, nothing, (FIRST_SPEED * sides) ** 2], axis=-1)
    return Motion(centres, np.zeros((len(centres), 2)), covariance, sides)


def predict(motion: Motion, seconds: float) -> Motion:
    """Where the boxes are `seconds` (>= 0) later."""
    place, mixed, speed = motion.covariance.T
    noise = (SPEED_CHANGE * motion.sides) ** 2
    covariance = [
        place + 2 * seconds * mixed + seconds**2 * speed + noise * seconds**3 / 3,
        mixed + seconds * speed + noise * seconds**2 / 2,
        speed + noise * seconds,
    ]
    centres = motion.centres.copy()
    centres[:, :2] += seconds * motion.velocities
    return replace(motion, centres=centres, covariance=np.stack(covariance, axis=-1))


def correct(motion: Motion, measured: np.ndarray) -> Motion:
    """The boxes after each was measured: (T, 4) cx cy w h."""
    measured = np.asarray(measured, np.float64)
    sides = _sides(measured)
    place, mixed, speed = motion.covariance.T
    noise = (MEASURED * sides) ** 2
    total = place + noise
    surprise = (measured - motion.centres) / total[:, None]
    covariance = [place * noise / total, mixed * noise / total, speed - mixed**2 / total]
    return Motion(
        motion.centres + place[:, None] * surprise,
        motion.velocities + mixed[:, None] * surprise[:, :2],
        np.stack(covariance, axis=-1),
        sides,
    )


def join(first: Motion, second: Motion) -> Motion:
    """The boxes of both."""
    pairs = ((getattr(first, f.name), getattr(second, f.name)) for f in fields(Motion))
    return Motion(*map(np.concatenate, pairs))


def _sides(centres: np.ndarray) -> np.ndarray:
    return np.sqrt(np.prod(np.maximum(centres[:, 2:], SMALLEST), axis=-1))
