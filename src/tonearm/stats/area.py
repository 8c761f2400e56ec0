"""Area under a curve of effect over cost, with a bootstrap interval over prompts.

    area = (1 / c) * integral of y(x) from 0 to c

Divided by the cutoff c, so that it is the mean effect up to that cost, in the unit of the effect. The
curve starts at the origin: no steering has no cost and no effect. It is straight between its points,
so that its value at the cutoff is interpolated, and keeps the value of its last point beyond it.
Nothing is clipped: an effect in the wrong sense has a negative area.

The interval resamples prompts, with all points of a prompt together. Its percentiles are expanded,

    alpha' = Phi(-sqrt(n / (n - 1)) t(0.975, n - 1)),

since plain percentiles of a mean over 10 to 50 prompts are too narrow.

Shapes: n prompts; K points of a curve; B resamples.

Source: Efron & Tibshirani 1993 (bootstrap); Hesterberg 2015, "What teachers should know about the
bootstrap" (expanded percentiles).
"""

from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student_t

RESAMPLES = 2000
MIN_PROMPTS = 5
SEED = 0  # the same for all curves, so that areas are compared on the same resamples


@dataclass(frozen=True)
class Area:
    """An area with the bounds of its 95 % interval, over `n` prompts; both bounds are NaN under
    MIN_PROMPTS, which are too few to resample.
    """

    value: float
    low: float
    high: float
    n: int

    def is_beyond(self, sense: int = 1) -> bool:
        """Whether the interval is beyond 0 in a sense, 1 or -1."""
        return self.low > 0 if sense > 0 else self.high < 0


def areas_under(x: np.ndarray, y: np.ndarray, cutoff: float) -> np.ndarray:
    """Compute the areas under curves through the origin.

    Args:
        x: costs of the points, above 0, in any order, [..., K].
        y: effects, [..., K].
        cutoff: above 0, on the axis of x.

    Returns:
        float64 [...].
    """
    order = np.argsort(x, axis=-1)
    origin = np.zeros((*x.shape[:-1], 1))
    x = np.concatenate([origin, np.take_along_axis(x, order, -1)], axis=-1)
    y = np.concatenate([origin, np.take_along_axis(y, order, -1)], axis=-1)
    left, right = x[..., :-1], x[..., 1:]
    end = np.clip(cutoff, left, right)  # of the part within the cutoff
    width = right - left
    share = np.divide(end - left, width, out=np.zeros_like(width), where=width > 0)
    at_end = y[..., :-1] + share * np.diff(y, axis=-1)
    within = ((end - left) * (y[..., :-1] + at_end) / 2).sum(-1)
    beyond = np.clip(cutoff - x[..., -1], 0, None) * y[..., -1]
    return np.asarray((within + beyond) / cutoff)


def resamples(n: int, count: int = RESAMPLES, seed: int = SEED) -> np.ndarray:
    """Draw prompts with replacement, int [B, n]."""
    return np.random.default_rng(seed).integers(0, n, (count, n))


def resampled_areas(x: np.ndarray, y: np.ndarray, cutoff: float, drawn: np.ndarray) -> np.ndarray:
    """Compute the area of the mean curve of each resample.

    Args:
        x: costs, [n, K].
        y: effects, [n, K]; NaN where a prompt has none, which the means leave out.
        cutoff: on the axis of x.
        drawn: prompts of each resample, int [B, n].

    Returns:
        float64 [B]; NaN for a resample without a prompt that has an effect.
    """
    return areas_under(_means(x[drawn]), _means(y[drawn]), cutoff)


def area(x: np.ndarray, y: np.ndarray, cutoff: float) -> Area:
    """Estimate the area of the mean curve over prompts.

    Args:
        x: costs, [n, K].
        y: effects, [n, K]; NaN where a prompt has none.
        cutoff: on the axis of x.

    Returns:
        The area. Prompts with an effect at every point are counted.
    """
    value = float(areas_under(_means(x), _means(y), cutoff))
    n = int(np.isfinite(y).all(1).sum())
    return Area(value, *interval(resampled_areas(x, y, cutoff, resamples(len(x))), n), n)


def interval(values: np.ndarray, n: int) -> tuple[float, float]:
    """Bounds of a 95 % interval from resampled values [B] of n prompts; NaN among them is left out.

    Both are NaN under MIN_PROMPTS, and where all values are NaN.
    """
    if n < MIN_PROMPTS or np.isnan(values).all():
        return nan, nan
    share = float(norm.cdf(-sqrt(n / (n - 1)) * student_t.ppf(0.975, n - 1)))
    low, high = np.nanquantile(values, [share, 1 - share])
    return float(low), float(high)


def _means(values: np.ndarray) -> np.ndarray:
    """Means over prompts, [..., n, K] to [..., K], of the values that are known."""
    known = np.isfinite(values)
    count = known.sum(-2)
    total = np.where(known, values, 0.0).sum(-2)
    return np.divide(total, count, out=np.full(total.shape, nan), where=count > 0)
