"""Trials of a listening test: which items and conditions are compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, get_args

import numpy as np

from tonearm.errors import TonearmError
from tonearm.listening.material import Material
from tonearm.listening.schema import Kind
from tonearm.listening.sheets import PlannedTrial
from tonearm.listening.stimuli import ANCHOR
from tonearm.text import quoted

Pairs = Literal["reference", "all"]
REFERENCES = ("plain", "reference")  # names that need not be given
RANDOM = "random"  # name of an anchor that need not be given
MAX_RATED = 12  # signals of a trial, ITU-R BS.1534-3
MAX_TRIALS = 500
SECONDS_OF_PAIR, SECONDS_OF_RATING = 30, 20  # estimates


@dataclass(frozen=True)
class Roles:
    """Conditions of a test, the reference first; `anchor` is one of them, or None."""

    conditions: tuple[str, ...]
    reference: str
    anchor: str | None


def assign_roles(
    kind: Kind, material: Material, reference: str | None, anchor: str | None
) -> Roles:
    """Find the reference and the anchor.

    Args:
        kind: of the test; only MUSHRA has an anchor.
        material: with the conditions.
        reference: name of a condition; None for "plain" or "reference".
        anchor: name of a condition, or ANCHOR; None for "random", or ANCHOR where there is none.

    Raises:
        TonearmError: no such condition, or nothing to compare with the reference.
    """
    if reference is None:
        reference = next((name for name in REFERENCES if name in material.conditions), None)
        if reference is None:
            raise TonearmError(
                f"none of the conditions {_listed(material)} is named plain or reference; choose "
                "the reference with --reference"
            )
    _check(material, reference, "reference")
    conditions = [reference, *(name for name in material.conditions if name != reference)]
    if kind != "mushra":
        if anchor is not None:
            raise TonearmError(f"a test of kind {kind} has no anchor; leave --anchor out")
        if len(conditions) < 2:
            raise TonearmError("there is one condition; give another to compare it with")
        return Roles(tuple(conditions), reference, None)
    if anchor is None:
        anchor = RANDOM if RANDOM in conditions[1:] else ANCHOR
    if anchor == ANCHOR and ANCHOR not in conditions:  # the material may have one of this name
        conditions.append(ANCHOR)
    _check(material, anchor, "anchor", ANCHOR)
    if anchor == reference:
        raise TonearmError(f"{quoted(anchor)} is the reference; choose another anchor")
    if not 3 <= len(conditions) <= MAX_RATED:
        raise TonearmError(
            f"{len(conditions)} signals in a trial of MUSHRA ({', '.join(conditions)}) are not "
            f"possible; rate 3 to {MAX_RATED}, reference and anchor among them"
        )
    return Roles(tuple(conditions), reference, anchor)


def draw_items(material: Material, count: int, rng: np.random.Generator) -> tuple[list[int], int]:
    """Draw the items of a test, and one to practise with.

    Args:
        material: with the items.
        count: of items in the test; all where the material has fewer.
        rng: random numbers.

    Returns:
        Indices of the items in the test, in the order of the material, and that of the item to
        practise with: one that is not in the test, or the first one where all are.

    Raises:
        TonearmError: a count under 1.
    """
    if count < 1:
        raise TonearmError(f"{count} items are not possible; give 1 or more")
    total = len(material.items)
    drawn = rng.permutation(total).tolist()
    return sorted(drawn[:count]), drawn[count] if count < total else 0


def plan_trials(
    kind: Kind, roles: Roles, items: int, *, pairs: Pairs = "reference", repeats: int = 1
) -> list[PlannedTrial]:
    """List the trials of a test.

    Args:
        kind: of the test.
        roles: of its conditions.
        items: number.
        pairs: of 2AFC: each condition with the reference, or all pairs of conditions.
        repeats: of each trial.

    Raises:
        TonearmError: `pairs` that the kind does not have, or too few or too many trials.
    """
    if pairs not in get_args(Pairs):
        raise TonearmError(f"pairs {quoted(pairs)} are not known; give reference or all")
    if pairs == "all" and kind != "2afc":
        raise TonearmError(f"all pairs are compared in a test of kind 2afc, not {kind}")
    if repeats < 1:
        raise TonearmError(f"{repeats} repeats are not possible; give 1 or more")
    if kind == "mushra":
        compared = [roles.conditions]
    elif pairs == "all":
        compared = list(combinations(roles.conditions, 2))
    else:
        compared = [(roles.reference, name) for name in roles.conditions[1:]]
    count = items * len(compared) * repeats
    if count > MAX_TRIALS:
        raise TonearmError(
            f"{count} trials ({items} items, {len(compared)} comparisons, {repeats} repeats) are "
            f"more than {MAX_TRIALS}; give fewer items, conditions or repeats"
        )
    return [
        PlannedTrial(item, conditions)
        for _ in range(repeats)
        for item in range(items)
        for conditions in compared
    ]


def estimated_minutes(trials: Sequence[PlannedTrial], kind: Kind) -> int:
    """Estimate how long a listener takes, in minutes."""
    signals = sum(len(trial.conditions) for trial in trials)
    seconds = signals * SECONDS_OF_RATING if kind == "mushra" else len(trials) * SECONDS_OF_PAIR
    return max(1, round(seconds / 60))


def _check(material: Material, name: str, role: str, *more: str) -> None:
    if name not in (*material.conditions, *more):
        raise TonearmError(
            f"there is no condition {quoted(name)} for the {role}; the conditions are {_listed(material)}"
        )


def _listed(material: Material) -> str:
    return ", ".join(map(quoted, material.conditions))
