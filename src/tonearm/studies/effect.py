"""Change of a mean between two conditions, paired by prompt, with its 95 % interval."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

import numpy as np
from scipy.stats import t as student_t


@dataclass(frozen=True)
class Effect:
    """Mean of a measure under a condition, and its change against no steering.

    All but `n` are NaN under two pairs.

    Attributes:
        mean: under the condition.
        deviation: standard deviation over prompts.
        change: of the mean, relative or as a difference.
        low: bound of the 95 % interval of `change`, see `effect`.
        high: likewise.
        n: prompts measured under both.
    """

    mean: float
    deviation: float
    change: float
    low: float
    high: float
    n: int

    @property
    def error(self) -> float:
        """Standard error of `change`, from the width of its interval."""
        return (self.high - self.low) / (2 * float(student_t.ppf(0.975, self.n - 1)))


def effect(
    plain: Sequence[float | None],
    steered: Sequence[float | None],
    relative: bool = True,
) -> Effect:
    """Estimate the change of a mean over the prompts that were measured under both conditions.

    The interval is a t-interval, paired by prompt; percentiles of a bootstrap of 10 to 50 means are
    too narrow. A ratio of means R = mean y / mean x is linearised to the residuals
    (y_i - R x_i) / mean x (Cochran 1977, "Sampling Techniques", 6.3).

    Args:
        plain: values without steering, by prompt.
        steered: values under the condition, by prompt.
        relative: change as a share of the plain mean; otherwise as a difference.

    Returns:
        The effect.
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
        return Effect(nan, nan, nan, nan, nan, len(pairs))
    before, after = pairs.T
    found = float(after.mean() / before.mean() - 1 if relative else (after - before).mean())
    ratio = 1 + found if relative else 1.0
    residuals = (after - ratio * before) / (before.mean() if relative else 1.0)
    error = residuals.std(ddof=1) / len(pairs) ** 0.5
    reach = float(student_t.ppf(0.975, len(pairs) - 1)) * error
    return Effect(after.mean(), after.std(ddof=1), found, found - reach, found + reach, len(pairs))
