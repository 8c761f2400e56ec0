"""Change of a mean between two conditions, paired by prompt, with its 95 % interval.

The interval is a t-interval over prompts; percentiles of a bootstrap of 10 to 50 means are too
narrow.

    log         geometric mean of the ratios, exp(mean(log y_i - log x_i)) - 1: for BPM and Hz, whose
                changes multiply
    ratio       ratio of the means, mean y / mean x - 1: for rates and shares, which can be 0
    difference  of the means, mean y - mean x: for levels in decibels and for scores

A ratio of means R is linearised to the residuals (y_i - R x_i) / mean x (Cochran 1977, "Sampling
Techniques", 6.3).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from typing import Literal

import numpy as np
from scipy.stats import t as student_t

Scale = Literal["log", "ratio", "difference"]


@dataclass(frozen=True)
class Effect:
    """Mean of a measure under a condition, and its change against no steering.

    All but `n` are NaN under two pairs; the change is NaN where it is relative to a mean of 0.

    Attributes:
        plain: mean without steering.
        mean: under the condition.
        deviation: standard deviation over prompts.
        change: on the scale of the measure.
        low: bound of the 95 % interval of `change`, see `effect`.
        high: likewise.
        error: standard error on the scale's own axis: of the logarithm on a log scale, of the
            change on others.
        n: prompts measured under both.
    """

    plain: float
    mean: float
    deviation: float
    change: float
    low: float
    high: float
    error: float
    n: int
    scale: Scale = "ratio"

    @property
    def t(self) -> float:
        """Change over its standard error, on the scale's own axis; NaN without spread."""
        change = np.log1p(self.change) if self.scale == "log" else self.change
        return float(change / self.error) if self.error else nan

    @property
    def p(self) -> float:
        """p of the change, of two sides; NaN without spread."""
        return float(2 * student_t.sf(abs(self.t), self.n - 1))

    def is_beyond(self, sense: int) -> bool:
        """Whether the interval is beyond 0 in a sense, 1 or -1."""
        return self.low > 0 if sense > 0 else self.high < 0


def effect(
    plain: Sequence[float | None],
    steered: Sequence[float | None],
    scale: Scale = "ratio",
) -> Effect:
    """Estimate the change of a mean over the prompts that were measured under both conditions.

    Args:
        plain: values without steering, by prompt.
        steered: values under the condition, by prompt.
        scale: see the module; on a log scale all values are above 0.

    Returns:
        The effect.

    Raises:
        ValueError: a value that has no logarithm, on a log scale.
    """
    pairs = np.array(
        [
            (before, after)
            for before, after in zip(plain, steered, strict=True)
            if before is not None and after is not None
        ],
        dtype=float,
    )
    if len(pairs) < 2:
        return Effect(nan, nan, nan, nan, nan, nan, nan, len(pairs), scale)
    before, after = pairs.T
    if scale == "log":
        if not (pairs > 0).all():
            raise ValueError(f"{pairs.min():g} has no logarithm")
        units, found = np.log(after / before), float(np.log(after / before).mean())
    elif scale == "ratio" and not before.mean():
        units, found = np.full(len(pairs), nan), nan
    elif scale == "ratio":
        found = float(after.mean() / before.mean() - 1)
        units = (after - (1 + found) * before) / before.mean()
    else:
        units, found = after - before, float((after - before).mean())
    error = float(units.std(ddof=1)) / len(pairs) ** 0.5
    reach = float(student_t.ppf(0.975, len(pairs) - 1)) * error
    bounds = np.array([found, found - reach, found + reach])
    change, low, high = map(float, np.expm1(bounds) if scale == "log" else bounds)
    return Effect(
        plain=float(before.mean()),
        mean=float(after.mean()),
        deviation=float(after.std(ddof=1)),
        change=change,
        low=low,
        high=high,
        error=error,
        n=len(pairs),
        scale=scale,
    )
