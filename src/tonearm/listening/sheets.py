"""Orders of presentation, drawn by a seed and counterbalanced.

A sheet is one order of trials with the order of the stimuli in each. Within a sheet, every pair of
conditions has each condition equally often on each side, and as X, up to one trial; in MUSHRA every
condition has each position equally often, up to one trial. Sheets come in blocks that mirror each
other, so that listeners with consecutive sheets are balanced exactly. A trial is not followed by
one of the same item where another order is found.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tonearm.listening.schema import Kind

SHEETS = 24  # a multiple of a block
SHUFFLES = 50
COMBINATIONS = ((0, 0), (1, 1), (0, 1), (1, 0))  # side and X; each half of the list is balanced


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
    draw = _rated_block if kind == "mushra" else _paired_block
    sheets: list[list[Presentation]] = []
    while len(sheets) < SHEETS:
        for orders in draw(trials, rng):
            shown = orders if kind != "2afc" else [order[:2] for order in orders]
            sheets.append([Presentation(index, shown[index]) for index in _spread(trials, rng)])
    return sheets


def _paired_block(
    trials: Sequence[PlannedTrial], rng: np.random.Generator
) -> list[list[tuple[int, ...]]]:
    """Four mirrored lists of (A, B, X) by trial."""
    sides = np.zeros((len(trials), 2), dtype=int)
    for pair in dict.fromkeys(trial.conditions for trial in trials):
        members = [index for index, trial in enumerate(trials) if trial.conditions == pair]
        sides[members] = _balanced(len(members), rng)
    return [
        [(side, 1 - side, x) for side, x in (sides ^ np.array(flip)).tolist()]
        for flip in ((0, 0), (1, 1), (1, 0), (0, 1))
    ]


def _balanced(n: int, rng: np.random.Generator) -> np.ndarray:
    """Combinations of side and X for `n` trials, [n, 2], in random order."""
    rest = rng.permutation(2).tolist()  # which half of the combinations begins the remainder
    half = [COMBINATIONS[2 * rest[0] + i] for i in rng.permutation(2)]
    other = [COMBINATIONS[2 * rest[1] + i] for i in rng.permutation(2)]
    found = list(COMBINATIONS) * (n // 4) + (half + other)[: n % 4]
    return rng.permutation(np.array(found, dtype=int).reshape(-1, 2))


def _rated_block(
    trials: Sequence[PlannedTrial], rng: np.random.Generator
) -> list[list[tuple[int, ...]]]:
    """Two lists of all conditions by trial: rotations of random orders, and the same reversed."""
    k = len(trials[0].conditions)
    orders: list[tuple[int, ...]] = []
    while len(orders) < len(trials):
        base = rng.permutation(k)
        orders += [tuple(np.roll(base, shift).tolist()) for shift in rng.permutation(k)]
    orders = orders[: len(trials)]
    return [orders, [order[::-1] for order in orders]]


def _spread(trials: Sequence[PlannedTrial], rng: np.random.Generator) -> list[int]:
    """The random order with the fewest neighbours of one item, of SHUFFLES."""

    def neighbours(order: list[int]) -> int:
        return sum(trials[one].item == trials[two].item for one, two in pairwise(order))

    return min((rng.permutation(len(trials)).tolist() for _ in range(SHUFFLES)), key=neighbours)
