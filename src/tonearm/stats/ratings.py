"""Ratings from 0 to 100 by several people of several items under several conditions (MUSHRA).

The unit is the person: ratings of one person are averaged over items, and intervals are t-intervals
over people. They hold for people like these and for these items.

Post-screening excludes a person who rates

    the hidden reference below 90 in more than 15 % of the items, or
    the anchor above 90 in more than 15 % of the items.

Shapes: m people; I items; ratings float [m, I], NaN where there is none.

Source: ITU-R BS.1534-3, "Method for the subjective assessment of intermediate quality level of audio
systems" (2015), 4.1.2, whose second rule is for the mid-range anchor.
"""

import warnings
from dataclasses import dataclass
from math import nan

import numpy as np
from scipy.stats import t as student_t

LIMIT = 90.0
TOLERATED = 0.15  # of the items


@dataclass(frozen=True)
class Mean:
    """Mean over `n` people with the bounds of its 95 % t-interval, and p of a mean of 0, of two
    sides; all but `value` are NaN under two people, p also without spread.
    """

    value: float
    low: float
    high: float
    p: float
    n: int


def person_means(ratings: np.ndarray) -> np.ndarray:
    """Mean over the items of each person, [m, I] to [m]; NaN for a person without any."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of a person without any
        return np.asarray(np.nanmean(ratings, axis=1))


def mean_of_people(values: np.ndarray) -> Mean:
    """Estimate the mean of one value per person [m]; NaN among them is left out."""
    known = values[np.isfinite(values)]
    n = len(known)
    if n < 2:
        return Mean(float(known[0]) if n else nan, nan, nan, nan, n)
    value, error = float(known.mean()), float(known.std(ddof=1)) / n**0.5
    reach = float(student_t.ppf(0.975, n - 1)) * error
    p = float(2 * student_t.sf(abs(value) / error, n - 1)) if error else nan
    return Mean(value, value - reach, value + reach, p, n)


def mean_rating(ratings: np.ndarray) -> Mean:
    """Estimate the mean rating of a condition from ratings [m, I]; its p has no meaning."""
    return mean_of_people(person_means(ratings))


def mean_difference(ratings: np.ndarray, reference: np.ndarray) -> Mean:
    """Estimate the difference of a condition from the reference, paired by person and item.

    Args:
        ratings: of the condition, [m, I].
        reference: of the reference, likewise.
    """
    return mean_of_people(person_means(ratings - reference))


def share_beyond(ratings: np.ndarray, *, above: bool) -> np.ndarray:
    """Share of each person's items beyond LIMIT, [m, I] to [m]; NaN for a person without any.

    Args:
        ratings: of one condition.
        above: count ratings above LIMIT; otherwise those below it.
    """
    beyond = np.where(np.isfinite(ratings), ratings > LIMIT if above else ratings < LIMIT, nan)
    return person_means(beyond)


def fails_reference(reference: np.ndarray) -> np.ndarray:
    """Who is excluded for the ratings of the hidden reference, [m, I] to bool [m]."""
    return share_beyond(reference, above=False) > TOLERATED


def fails_anchor(anchor: np.ndarray) -> np.ndarray:
    """Who is excluded for the ratings of the anchor, [m, I] to bool [m]."""
    return share_beyond(anchor, above=True) > TOLERATED
