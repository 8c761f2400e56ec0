"""Bradley-Terry model of choices in pairs: one number per alternative.

    P(i is chosen over j) = w_i / (w_i + w_j),     ability_i = log w_i - mean(log w)

An alternative that always won would have no finite ability, so every pair that was compared has one
virtual comparison more, half a win for each. Abilities are fitted by the MM algorithm.

Shapes: K alternatives; m people; B resamples.

Source: Bradley & Terry 1952, Biometrika 39; Hunter 2004, "MM algorithms for generalized Bradley-Terry
models", Annals of Statistics 32.
"""

from dataclasses import dataclass

import numpy as np

from tonearm.stats.area import interval, resamples

VIRTUAL = 0.5  # wins of each side of a compared pair
TOLERANCE = 1e-9  # of log abilities
MAX_STEPS = 10_000


@dataclass(frozen=True)
class Ability:
    """Log ability of an alternative, 0 on average, with the bounds of its 95 % interval over people;
    both bounds are NaN where they are too few to resample.
    """

    value: float
    low: float
    high: float


def log_abilities(wins: np.ndarray) -> np.ndarray:
    """Fit the abilities.

    Args:
        wins: [..., K, K]; how often row i was chosen over column j.

    Returns:
        float64 [..., K], 0 on average; NaN where the comparisons do not connect all alternatives.

    Raises:
        ValueError: no convergence.
    """
    compared = (wins + np.swapaxes(wins, -1, -2)) > 0
    won = wins + VIRTUAL * compared
    games = won + np.swapaxes(won, -1, -2)
    connected = _are_connected(compared)
    total = np.where(connected[..., None], won.sum(-1), 1)
    games = np.where(connected[..., None, None], games, 1)
    ability = np.zeros(total.shape)
    for _ in range(MAX_STEPS):
        weight = np.exp(ability)
        expected = (games / (weight[..., :, None] + weight[..., None, :])).sum(-1)
        fitted = np.log(total) - np.log(expected)
        fitted -= fitted.mean(-1, keepdims=True)
        if np.abs(fitted - ability).max() < TOLERANCE:
            return np.where(connected[..., None], fitted, np.nan)
        ability = fitted
    raise ValueError(f"no convergence in {MAX_STEPS} steps")


def abilities(wins: np.ndarray) -> list[Ability]:
    """Fit the abilities over all people, with intervals by a bootstrap of people.

    Args:
        wins: [m, K, K]; how often each person chose row i over column j.

    Returns:
        One per alternative; NaN where the comparisons do not connect all alternatives.
    """
    values = log_abilities(wins.sum(0))
    drawn = log_abilities(np.stack([wins[people].sum(0) for people in resamples(len(wins))]))
    return [
        Ability(float(value), *interval(drawn[:, index], len(wins)))
        for index, value in enumerate(values)
    ]


def _are_connected(compared: np.ndarray) -> np.ndarray:
    """Whether chains of comparisons lead from each alternative to each other, [..., K, K] to [...]."""
    k = compared.shape[-1]
    reached = (compared | np.eye(k, dtype=bool)).astype(float)
    for _ in range(k.bit_length()):
        reached = np.minimum(reached @ reached, 1)
    return np.asarray(reached.all((-1, -2)))
