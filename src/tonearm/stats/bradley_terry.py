"""Bradley-Terry model of choices in pairs: one number per alternative.

    P(i is chosen over j) = w_i / (w_i + w_j),     ability_i = log w_i - mean(log w)

An alternative that always won would have no finite ability, so every pair that was compared has one
virtual comparison more, half a win for each. The likelihood then has one maximum, which Newton's
method finds; its steps are limited, since those from far away are too long.

Shapes: K alternatives; m people; B resamples.

Source: Bradley & Terry 1952, Biometrika 39; for the gradient and the Hessian, Hunter 2004, Annals of
Statistics 32.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from tonearm.stats.area import interval, resamples

VIRTUAL = 0.5  # wins of each side of a compared pair
TOLERANCE = 1e-9  # of log abilities
LONGEST_STEP = 1.0  # of a log ability
MAX_STEPS = 200


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
    connected = _are_connected(compared)
    won = np.where(connected[..., None, None], wins + VIRTUAL * compared, VIRTUAL)
    games = won + np.swapaxes(won, -1, -2)
    ability = np.zeros(won.shape[:-1])
    for _ in range(MAX_STEPS):
        chance = expit(ability[..., :, None] - ability[..., None, :])  # of row i over column j
        gradient = (won - games * chance).sum(-1)
        weight = games * chance * (1 - chance)
        hessian = weight.sum(-1)[..., None] * np.eye(weight.shape[-1]) - weight
        # the abilities are 0 on average, of which the likelihood says nothing
        step = np.linalg.solve(hessian + 1.0, gradient[..., None])[..., 0]
        longest = np.abs(step).max(-1, keepdims=True)
        step *= LONGEST_STEP / np.maximum(longest, LONGEST_STEP)
        ability += step - step.mean(-1, keepdims=True)
        if longest.max() < TOLERANCE:
            return np.where(connected[..., None], ability, np.nan)
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
