"""Proportion of successes against chance: exact for independent trials, and with trials of several
people as clusters.

    exact        Clopper-Pearson interval and binomial test: every trial counts alone
    clustered    the same with the number of trials that would be as informative if they were
                 independent; trials of one person resemble each other, so that they say less

The effective number (Korn & Graubard) compares the variance of the share as it is between people,
v, with that of independent trials:

    n_eff = p (1 - p) / v,  times (t(0.975, n - 1) / t(0.975, m - 1))^2

for n trials of m people; at most n. v is that of a ratio estimator. A bootstrap over people has no
width where all give one answer; here the interval keeps the width of a binomial one. In simulations
with 5 and 15 people it covers the true share in more than 93 %.

Sources: Clopper & Pearson 1934, Biometrika 26; Korn & Graubard 1998, "Confidence intervals for
proportions with small expected number of positive counts estimated from survey data", Survey
Methodology 24.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import betainc, betaincc, betaincinv, stdtrit

Alternative = Literal["greater", "two-sided"]
CHANCE = 0.5
TAIL = 0.025  # of a 95 % interval


@dataclass(frozen=True)
class Proportion:
    """A share of successes.

    value      0 .. 1
    low, high  bounds of the 95 % interval
    p          of the hypothesis that the share is that of chance
    count, n   successes, and trials
    clusters   people with at least one trial
    effective  trials that count as independent; n where every trial counts alone
    """

    value: float
    low: float
    high: float
    p: float
    count: float
    n: int
    clusters: int
    effective: float


def exact_proportion(
    count: int,
    n: int,
    *,
    clusters: int = 1,
    chance: float = CHANCE,
    alternative: Alternative = "two-sided",
) -> Proportion:
    """Estimate the share of `count` successes in `n` trials that are independent.

    Args:
        count: successes.
        n: trials, at least 1.
        clusters: people who made them, for the record.
        chance: share under the hypothesis that is tested.
        alternative: "greater" where only shares above chance count.

    Raises:
        ValueError: no trials, or more successes than trials.
    """
    return _proportion(count, n, clusters, n, chance, alternative)


def clustered_proportion(
    counts: Sequence[float],
    totals: Sequence[int],
    *,
    chance: float = CHANCE,
    alternative: Alternative = "two-sided",
) -> Proportion:
    """Estimate a share from the trials of several people; see the module.

    With one person there is no variance between people, and every trial counts alone.

    Args:
        counts: successes of each person.
        totals: trials of each person; those without any do not count.
        chance: share under the hypothesis that is tested.
        alternative: "greater" where only shares above chance count.

    Raises:
        ValueError: no trials, or more successes than trials.
    """
    pairs = np.array([pair for pair in zip(counts, totals, strict=True) if pair[1]], dtype=float)
    if not len(pairs):
        raise ValueError("no trials")
    successes, trials = pairs.T
    return _proportion(
        float(successes.sum()),
        int(trials.sum()),
        len(pairs),
        _effective(successes, trials),
        chance,
        alternative,
    )


def _effective(successes: np.ndarray, trials: np.ndarray) -> float:
    """Effective number of trials, from successes and trials of each person [m]."""
    m, n = len(trials), float(trials.sum())
    if m == 1 or n == m:  # one trial each: people are the trials
        return n
    share = float(successes.sum()) / n
    residuals = successes - share * trials
    variance = m / (m - 1) * float((residuals**2).sum()) / n**2
    independent = share * (1 - share)
    plain = independent / variance if variance and independent else n
    correction = (stdtrit(n - 1, 1 - TAIL) / stdtrit(m - 1, 1 - TAIL)) ** 2
    return float(min(n, plain * correction))


def _proportion(
    count: float, n: int, clusters: int, effective: float, chance: float, alternative: Alternative
) -> Proportion:
    if not 0 <= count <= n or n < 1:
        raise ValueError(f"{count} of {n} is no share")
    value = count / n
    hits, misses = value * effective, (1 - value) * effective
    low = float(betaincinv(hits, misses + 1, TAIL)) if hits else 0.0
    high = float(betaincinv(hits + 1, misses, 1 - TAIL)) if misses else 1.0
    # P(at least as many), and P(at most as many), by the beta function, which takes fractions
    above = float(betainc(hits, misses + 1, chance)) if hits else 1.0
    below = float(betaincc(hits + 1, misses, chance)) if misses else 1.0
    p = above if alternative == "greater" else min(1.0, 2 * min(above, below))
    return Proportion(value, low, high, p, count, n, clusters, effective)
