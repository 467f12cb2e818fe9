"""The arithmetic of quantised layers, defined to the last bit for every target.

A quantised tensor stands for scale * (values - zero_point). Sums are exact integers, and each is
scaled to the steps of the output by one float32 factor: one multiplication in any vector unit, and
IEEE 754 fixes its result. Rounding is half to even throughout.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Quantised(NamedTuple):
    """Integers and what they mean; scale and zero_point of one element or one per channel."""

    values: np.ndarray
    scale: np.ndarray
    zero_point: np.ndarray


def factor(scale: np.ndarray, output_scale: np.ndarray) -> np.ndarray:
    """What takes a number of steps of `scale` to steps of `output_scale`: float32.

    scale: float64; of a convolution's sums the exact product of input and weight scale (two
    float32 values), one per channel. output_scale: one element. The quotient is float64, then
    rounded to float32.
    """
    return (scale.astype(np.float64) / output_scale.astype(np.float64)).astype(np.float32)


def requantise(sums: np.ndarray, factors: np.ndarray, zero_point: np.ndarray) -> np.ndarray:
    """A convolution's sums in steps of its output: saturate(round(float32(sums) * factors) + zero).

    sums: (N, O, H, W), whole numbers below 2^53 as float64 or int64. factors: (O,) float32, see
    `factor`. zero_point: one uint8. Returns (N, O, H, W) uint8.

    Against exact rational scaling: the factor, the sum (beyond 2^24) and the product are each
    rounded to float32, so a scaled value v is off by just over 3 * 2^-24 |v| at most. One that does
    not saturate is below 256, hence off by less than 4.6e-5: the result differs only where v lies
    that near to the tie between two steps, and by one step. Where values spread evenly between
    steps, that is at most one in 10,000.
    """
    scaled = sums.astype(np.float32) * factors.reshape(-1, 1, 1)
    return _saturate(np.rint(scaled), zero_point)


def requantised_sum(
    a: Quantised, b: Quantised, scale: np.ndarray, zero_point: np.ndarray
) -> np.ndarray:
    """a + b in steps of `scale`: saturate(round(fma(a', fa, float32(b' * fb))) + zero).

    a', b': values less their zero points, exact in float32; fa, fb: their `factor`s; fma: one
    fused multiply-add in float32. a, b: uint8 of shapes that broadcast, each with one scale and
    zero point. Returns uint8.

    Against exact rational scaling the sum v is off by at most 2^-24 (|a' fa| + 2 |b' fb| + |v|),
    less than 6.2e-5 while neither scale is coarser than the output's: the result differs, by one
    step, only where v lies that near to a tie.
    """
    first, second = (side.values.astype(np.float32) - side.zero_point for side in (a, b))
    first_factor, second_factor = (factor(side.scale, scale) for side in (a, b))
    # In float64 the product is exact, and so is the sum while the factors are within 2^19 of each
    # other; then rounding to float32 is the only rounding, as in a fused multiply-add.
    product = first.astype(np.float64) * first_factor
    total = (product + second * second_factor).astype(np.float32)
    return _saturate(np.rint(total), zero_point)


def quantise(x: np.ndarray, scale: np.ndarray, zero_point: np.ndarray) -> np.ndarray:
    """saturate(round(x / scale) + zero_point) in the integer type of `zero_point`; x: float64."""
    return _saturate(np.rint(x / scale), zero_point)


def dequantise(x: Quantised) -> np.ndarray:
    """scale * (values - zero_point) in float64."""
    return (x.values.astype(np.float64) - x.zero_point) * x.scale


def _saturate(rounded: np.ndarray, zero_point: np.ndarray) -> np.ndarray:
    """Whole numbers plus the zero point, in its type."""
    limits = np.iinfo(zero_point.dtype)
    shifted = rounded + zero_point.astype(rounded.dtype)
    return np.clip(shifted, limits.min, limits.max).astype(zero_point.dtype)
