"""Trend of a response over rising doses."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

import numpy as np
from scipy.stats import page_trend_test, theilslopes


@dataclass(frozen=True)
class Slope:
    """Median slope, with its 95 % interval; NaN under three points."""

    value: float
    low: float
    high: float


def page_trend(responses: np.ndarray) -> float:
    """Test whether responses rise with the dose within prompts.

    Source: Page 1963, "Ordered hypotheses for multiple treatments", JASA 58.

    Args:
        responses: float [prompts, doses], doses rising; prompts with NaN are left out.

    Returns:
        p of one side; NaN under two prompts or three doses.
    """
    whole = responses[np.isfinite(responses).all(axis=1)]
    if whole.shape[0] < 2 or whole.shape[1] < 3:
        return nan
    return float(page_trend_test(whole).pvalue)


def theil_sen(doses: Sequence[float], responses: Sequence[float]) -> Slope:
    """Estimate the slope of a response over the dose by the median over all pairs of points.

    Source: Sen 1968, "Estimates of the regression coefficient based on Kendall's tau", JASA 63.

    Args:
        doses: one per point.
        responses: likewise.
    """
    if len(doses) < 3:
        return Slope(nan, nan, nan)
    found = theilslopes(responses, doses, alpha=0.95)
    return Slope(float(found.slope), float(found.low_slope), float(found.high_slope))
