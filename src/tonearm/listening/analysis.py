"""Analysis of the results of a listening test.

ABX     correct answers per condition: one-sided exact binomial test, Clopper-Pearson interval.
        X is randomised, so that without an audible difference every listener is correct by
        chance alone. The interval holds for these listeners.
2AFC    choices in each pair against chance, two-sided, with listeners as clusters; with more than
        two conditions also Bradley-Terry abilities
MUSHRA  mean rating of each condition over listeners, and its difference from the hidden reference,
        paired by listener and item; listeners who fail the post-screening are excluded

Every family of tests is adjusted by Holm's method.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any, Literal

import numpy as np

from tonearm.errors import TonearmError
from tonearm.listening.reading import ResultSet, is_complete
from tonearm.listening.schema import Answer, Key, Kind, Result
from tonearm.listening.stimuli import ANCHOR
from tonearm.stats.bradley_terry import Ability, abilities
from tonearm.stats.holm import holm
from tonearm.stats.proportion import Proportion, clustered_proportion, exact_proportion
from tonearm.stats.ratings import (
    Mean,
    fails_anchor,
    fails_reference,
    mean_difference,
    mean_rating,
)

Screening = Literal["both", "reference", "none"]
SCREENINGS: tuple[Screening, ...] = ("both", "reference", "none")


@dataclass(frozen=True)
class Discrimination:
    """Right answers to one condition against the reference, in ABX.

    share       of right answers
    p_adjusted  by Holm's method, over the conditions
    listeners   right answers and trials by listener
    """

    condition: str
    share: Proportion
    p_adjusted: float
    listeners: Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class Preference:
    """How often one condition of a pair was chosen, in 2AFC.

    share       of choices of `condition`
    p_adjusted  by Holm's method, over the pairs
    listeners   choices of `condition` and trials by listener
    """

    condition: str
    other: str
    share: Proportion
    p_adjusted: float
    listeners: Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class Rating:
    """Ratings of a condition, in MUSHRA.

    mean        over listeners
    difference  from the hidden reference, or None for the reference itself
    p_adjusted  of the difference, by Holm's method over the conditions; NaN for the reference
    """

    condition: str
    mean: Mean
    difference: Mean | None
    p_adjusted: float


@dataclass(frozen=True)
class Analysis:
    """Analysis of a test; the lists of other kinds of tests are empty.

    listeners  that were analysed
    answers    of these listeners
    left_out   listeners whose result is incomplete, and was not analysed
    superseded number of files with an earlier state of a session
    screening  rules of the post-screening that were applied; None where the kind has none
    excluded   reason by listener who failed the post-screening
    level      number of listeners whose last count of the quiet tones was correct, and number asked
    comments   by listener
    """

    kind: Kind
    question: str
    listeners: tuple[str, ...]
    answers: int
    left_out: tuple[str, ...]
    superseded: int
    screening: Screening | None
    excluded: Mapping[str, str]
    level: tuple[int, int]
    comments: Mapping[str, tuple[str, ...]]
    discriminations: tuple[Discrimination, ...] = ()
    preferences: tuple[Preference, ...] = ()
    abilities: Mapping[str, Ability] | None = None
    ratings: tuple[Rating, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON; null where a number is not defined."""
        found: dict[str, Any] = _without_nan(asdict(self))
        return found


def analyse(
    results: ResultSet,
    key: Key,
    *,
    incomplete: bool = False,
    screening: Screening | None = None,
) -> Analysis:
    """Analyse the results of a listening test.

    Args:
        results: of the test, one per listener.
        key: of the test.
        incomplete: also analyse the answers of incomplete results.
        screening: rules by which listeners of MUSHRA are excluded: by the hidden reference and the
            anchor, by the reference alone, or none; None for `default_screening`.

    Raises:
        TonearmError: no result can be analysed, or `screening` is not known.
    """
    if screening is None:
        screening = default_screening(key)
    elif screening not in SCREENINGS:
        raise TonearmError(f"screening {screening!r} is not known; give {', '.join(SCREENINGS)}")
    used = [one for one in results.results if one.answers and (incomplete or is_complete(one, key))]
    if not used:
        raise TonearmError(
            f"none of {len(results.results)} results answers every trial; "
            "give complete ones, or analyse these with --incomplete"
        )
    ratings, excluded = _screened(used, key, screening)
    used = [one for one in used if one.listener not in excluded]
    names = {one.listener for one in used} | set(excluded)
    asked = [one.level for one in used if one.level is not None]
    return Analysis(
        kind=key.test.kind,
        question=key.test.question,
        listeners=tuple(one.listener for one in used),
        answers=sum(len(one.answers) for one in used),
        left_out=tuple(one.listener for one in results.results if one.listener not in names),
        superseded=len(results.superseded),
        screening=screening if key.test.kind == "mushra" else None,
        excluded=excluded,
        level=(sum(one.tones == one.answered for one in asked), len(asked)),
        comments=_comments(used),
        discriminations=_discriminations(used, key) if key.test.kind == "abx" else (),
        preferences=_preferences(used, key) if key.test.kind == "2afc" else (),
        abilities=_abilities(used, key) if key.test.kind == "2afc" else None,
        ratings=_ratings(ratings, key) if ratings else (),
    )


def default_screening(key: Key) -> Screening:
    """Both rules where the anchor is the low-pass of the reference, else that of the reference.

    Another anchor, such as the take of a random vector, is a condition whose ratings are an outcome
    of the test: to exclude listeners by these would select on the outcome.
    """
    return "both" if key.anchor == ANCHOR else "reference"


def _compared(answer: Answer, key: Key) -> tuple[str, ...]:
    """Conditions of a pair, in the order of the key."""
    sides = {key.condition(answer.trial, name) for name in answer.order[:2]}
    return tuple(name for name in key.conditions if name in sides)


def _tallies(
    results: Sequence[Result], key: Key
) -> dict[tuple[str, ...], dict[str, tuple[int, int]]]:
    """By pair and listener: right answers in ABX, choices of the second condition in 2AFC; trials."""
    found: dict[tuple[str, ...], dict[str, tuple[int, int]]] = {}
    for result in results:
        for answer in result.answers:
            pair = _compared(answer, key)
            chosen = key.condition(answer.trial, answer.chosen or "")
            sought = (
                key.condition(answer.trial, answer.order[2]) if key.test.kind == "abx" else pair[1]
            )
            count, total = found.setdefault(pair, {}).get(result.listener, (0, 0))
            found[pair][result.listener] = (count + (chosen == sought), total + 1)
    order = [(one, two) for one in key.conditions for two in key.conditions]
    return {pair: found[pair] for pair in order if pair in found}


def _discriminations(results: Sequence[Result], key: Key) -> tuple[Discrimination, ...]:
    tallies = _tallies(results, key)
    shares = [
        exact_proportion(
            sum(count for count, _ in of.values()),
            sum(total for _, total in of.values()),
            clusters=len(of),
            alternative="greater",
        )
        for of in tallies.values()
    ]
    adjusted = holm([share.p for share in shares])
    return tuple(
        Discrimination(pair[1], share, p, of)
        for (pair, of), share, p in zip(tallies.items(), shares, adjusted, strict=True)
    )


def _preferences(results: Sequence[Result], key: Key) -> tuple[Preference, ...]:
    tallies = _tallies(results, key)
    shares = [
        clustered_proportion(
            [count for count, _ in of.values()], [total for _, total in of.values()]
        )
        for of in tallies.values()
    ]
    adjusted = holm([share.p for share in shares])
    return tuple(
        Preference(pair[1], pair[0], share, p, of)
        for (pair, of), share, p in zip(tallies.items(), shares, adjusted, strict=True)
    )


def _abilities(results: Sequence[Result], key: Key) -> dict[str, Ability] | None:
    """Bradley-Terry abilities of more than two conditions."""
    k = len(key.conditions)
    if k < 3:
        return None
    place = {name: index for index, name in enumerate(key.conditions)}
    wins = np.zeros((len(results), k, k))
    for number, result in enumerate(results):
        for answer in result.answers:
            chosen = key.condition(answer.trial, answer.chosen or "")
            (beaten,) = (name for name in _compared(answer, key) if name != chosen)
            wins[number, place[chosen], place[beaten]] += 1
    return dict(zip(key.conditions, abilities(wins), strict=True))


def _screened(
    results: Sequence[Result], key: Key, screening: Screening
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Ratings [m, I] by condition of the listeners who pass, and the reason for the others."""
    if key.test.kind != "mushra":
        return {}, {}
    trials = {trial.name: index for index, trial in enumerate(key.test.trials)}
    ratings = {name: np.full((len(results), len(trials)), np.nan) for name in key.conditions}
    for number, result in enumerate(results):
        for answer in result.answers:
            for stimulus, rating in (answer.ratings or {}).items():
                condition = key.condition(answer.trial, stimulus)
                ratings[condition][number, trials[answer.trial]] = rating
    excluded: dict[str, str] = {}
    passes = np.ones(len(results), dtype=bool)
    if screening == "both" and key.anchor is not None:
        passes &= ~fails_anchor(ratings[key.anchor])
        excluded |= _named(results, ~passes, "anchor above 90 in more than 15 % of the items")
    if screening != "none":
        fails = fails_reference(ratings[key.reference])
        excluded |= _named(
            results, fails, "hidden reference below 90 in more than 15 % of the items"
        )
        passes &= ~fails
    return {name: of[passes] for name, of in ratings.items()}, excluded


def _named(results: Sequence[Result], chosen: np.ndarray, reason: str) -> dict[str, str]:
    return {
        result.listener: reason for result, is_one in zip(results, chosen, strict=True) if is_one
    }


def _ratings(ratings: Mapping[str, np.ndarray], key: Key) -> tuple[Rating, ...]:
    reference = ratings[key.reference]
    differences = {
        name: None if name == key.reference else mean_difference(of, reference)
        for name, of in ratings.items()
    }
    adjusted = holm([np.nan if one is None else one.p for one in differences.values()])
    return tuple(
        Rating(name, mean_rating(ratings[name]), difference, p)
        for (name, difference), p in zip(differences.items(), adjusted, strict=True)
    )


def _comments(results: Sequence[Result]) -> dict[str, tuple[str, ...]]:
    given = {
        one.listener: tuple(
            text for text in (*(answer.comment for answer in one.answers), one.comment) if text
        )
        for one in results
    }
    return {listener: texts for listener, texts in given.items() if texts}


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nan(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(one) for one in value]
    return None if isinstance(value, float) and not isfinite(value) else value
