"""Orders of presentation, drawn by a seed and counterbalanced.

A sheet is one order of trials with the order of the stimuli in each. Within a sheet, every pair of
conditions has each condition equally often on each side, up to one trial; in MUSHRA every condition
has each position equally often, up to one trial. Sheets come in pairs that mirror each other, so that
listeners with sheets 0 and 1, 2 and 3, and so on, are balanced exactly. X is drawn for each trial and
sheet by itself, since a listener who guesses could use its balance. A trial is not followed by one of
the same item where another order is found.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tonearm.listening.schema import Kind

SHEETS = 24  # an even number
SHUFFLES = 50


@dataclass(frozen=True)
class PlannedTrial:
    """Index of an item, and the conditions that are compared: two, or all of them."""

    item: int
    conditions: tuple[str, ...]


@dataclass(frozen=True)
class Presentation:
    """Index of a trial, and indices of its conditions: A, B, X; A, B; or all in order."""

    trial: int
    order: tuple[int, ...]


def draw_sheets(
    kind: Kind, trials: Sequence[PlannedTrial], rng: np.random.Generator
) -> list[list[Presentation]]:
    """Draw SHEETS sheets."""
    draw = _rated_orders if kind == "mushra" else _paired_orders
    sheets: list[list[Presentation]] = []
    while len(sheets) < SHEETS:
        orders = draw(trials, rng)
        for mirrored in (orders, [order[::-1] for order in orders]):
            shown = (
                mirrored if kind != "abx" else [(*one, int(rng.integers(2))) for one in mirrored]
            )
            sheets.append([Presentation(index, shown[index]) for index in _spread(trials, rng)])
    return sheets


def _paired_orders(
    trials: Sequence[PlannedTrial], rng: np.random.Generator
) -> list[tuple[int, ...]]:
    """Sides (A, B) of the conditions by trial."""
    first = np.zeros(len(trials), dtype=int)
    for pair in dict.fromkeys(trial.conditions for trial in trials):
        members = [index for index, trial in enumerate(trials) if trial.conditions == pair]
        first[members] = rng.permutation((np.arange(len(members)) + rng.integers(2)) % 2)
    return [(side, 1 - side) for side in first.tolist()]


def _rated_orders(
    trials: Sequence[PlannedTrial], rng: np.random.Generator
) -> list[tuple[int, ...]]:
    """All conditions by trial: rotations of random orders."""
    k = len(trials[0].conditions)
    orders: list[tuple[int, ...]] = []
    while len(orders) < len(trials):
        base = rng.permutation(k)
        orders += [tuple(np.roll(base, shift).tolist()) for shift in rng.permutation(k)]
    return orders[: len(trials)]


def _spread(trials: Sequence[PlannedTrial], rng: np.random.Generator) -> list[int]:
    """The random order with the fewest neighbours of one item, of SHUFFLES."""

    def neighbours(order: list[int]) -> int:
        return sum(trials[one].item == trials[two].item for one, two in pairwise(order))

    return min((rng.permutation(len(trials)).tolist() for _ in range(SHUFFLES)), key=neighbours)
