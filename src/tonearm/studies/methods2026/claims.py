"""Claims of the literature about steering methods, each with the numbers that bear on it.

A claim holds where its test, stated with it, is met in every case, in part where it is met in some,
and is not testable where the records hold no number for the test. Checkpoint, data and evaluators are
not those of the papers.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isnan

from tonearm.report.claims import Claim, Tested, counted_claim
from tonearm.stats.area import Area
from tonearm.stats.effect import Effect
from tonearm.studies.methods2026.analysis import AttributeResult, Contrast, Point, Results


@dataclass(frozen=True)
class Preference:
    """A claim that one row of the ranking steers further than others at equal divergence.

    place      of the claim
    text       in our words
    condition  row of the ranking
    against    other rows
    """

    place: str
    text: str
    condition: str
    against: tuple[str, ...]


PREFERENCES = (
    Preference(
        "Panda et al. 2025, IV-E2",
        "Linear probes trained with squared error steer better than with cross-entropy.",
        "mse-probe",
        ("bce-probe",),
    ),
    Preference(
        "Li et al. 2023 (ITI)",
        "The difference of the means steers better than the weights of probes.",
        "diffmean",
        ("mse-probe", "lda", "bce-probe"),
    ),
    Preference(
        "spherical and angular steering",
        "Turning activations at constant norm steers further than adding the direction.",
        "diffmean, slerp",
        ("diffmean",),
    ),
    Preference(
        "this study",
        "Holding the projection at a level steers further than adding the direction.",
        "diffmean, set",
        ("diffmean",),
    ),
    Preference(
        "Zhao et al. 2025 (MusicRFM)",
        "Directions of recursive feature machines steer further than those of linear probes.",
        "rfm",
        ("lda", "mse-probe", "bce-probe"),
    ),
    Preference(
        "this study",
        "Directions of recursive feature machines steer further than the difference of the means.",
        "rfm",
        ("diffmean",),
    ),
    Preference(
        "Li et al. 2023 (ITI), Koo et al. 2025 (SMITIN)",
        "Directions of attention heads steer further than one direction of the residual stream.",
        "iti",
        ("diffmean",),
    ),
    Preference(
        "Koo et al. 2025 (SMITIN)",
        "Soft weights of all heads steer further than a hard choice of the best.",
        "smitin",
        ("iti",),
    ),
    Preference(
        "sparse autoencoders",
        "Features of a sparse autoencoder steer further than the difference of the means.",
        "sae",
        ("diffmean",),
    ),
    Preference(
        "Jorgensen et al. 2023 (mean-centring)",
        "A background in place of the opposite side gives a direction that steers further.",
        "mean-centred",
        ("diffmean",),
    ),
    Preference(
        "Zou et al. 2023 (representation engineering)",
        "The principal component of differences steers further than their mean.",
        "pca",
        ("diffmean",),
    ),
)


def all_claims(results: Results) -> list[Claim]:
    """Test every claim about the ranking.

    Args:
        results: of the study.
    """
    return [
        every_method(results),
        *(preferred(results, one) for one in PREFERENCES),
        words(results),
    ]


def area_text(found: Area) -> str:
    """`+0.12 [0.05, 0.19]`; a dash in place of what is not known."""
    if isnan(found.value):
        return "–"
    if isnan(found.low):
        return f"{found.value:+.2f} [–]"
    return f"{found.value:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"


def effect_text(found: Effect, decimals: int = 2) -> str:
    """`+0.12 [0.05, 0.19]`; a dash under two prompts."""
    if isnan(found.change):
        return "–"
    return " ".join(
        (
            f"{found.change:+.{decimals}f}",
            f"[{found.low:+.{decimals}f}, {found.high:+.{decimals}f}]",
        )
    )


def listed(numbers: Iterable[str]) -> str:
    """Numbers as one sentence."""
    found = list(numbers)
    return "; ".join(found) + "." if found else "Nothing to compare."


def every_method(results: Results) -> Claim:
    """Every method moves the attribute that its direction was learned for."""
    cells = [cell for one in results.attributes for cell in one.cells]
    return counted_claim(
        "this study",
        "Every method moves every attribute.",
        "both readings of the attribute rise: the area of each is beyond its interval and above that "
        "of every random direction, for every method and attribute",
        [cell.counts for cell in cells],
        listed(
            f"{one.attribute.name}: {', '.join(c.name for c in one.cells if c.counts) or 'none'}"
            for one in results.attributes
        ),
    )


def preferred(results: Results, preference: Preference) -> Claim:
    """Test whether a row steers further than others, where one of the two counts."""
    counted = {
        (one.attribute.name, cell.name)
        for one in results.attributes
        for cell in one.cells
        if cell.counts
    }
    found = [
        one
        for against in preference.against
        for one in results.contrasts(preference.condition, against)
        if {(one.attribute, one.condition), (one.attribute, one.against)} & counted
    ]
    worse = sum(one.difference.is_beyond(-1) for one in found)
    return counted_claim(
        preference.place,
        preference.text,
        f"the area of {preference.condition} is above that of {' and of '.join(preference.against)} "
        "beyond the interval of their difference, in every attribute in which one of the two counts",
        [None if isnan(one.difference.low) else one.difference.is_beyond() for one in found],
        f"Certainly worse in {worse}. " + listed(_contrast_text(one) for one in found),
    )


def _contrast_text(one: Contrast) -> str:
    return f"{one.attribute}, against {one.against}: {area_text(one.difference)}"


def words(results: Results) -> Claim:
    """A word in the prompt against the best method."""
    numbers, tests = [], list[Tested]()
    for one in results.attributes:
        if one.word is None or not one.cells:
            continue
        best = one.ranked[0]
        cheap = [point for point in best.points if point.text.change >= one.word.text.change]
        tests.append(any(_is_further(point, one.word, _names(one)) for point in cheap))
        numbers.append(
            f"{one.attribute.name}: word "
            + ", ".join(f"{name} {effect_text(one.word.changes[name])}" for name in _names(one))
            + f", text agreement {effect_text(one.word.text, 3)}; {best.name} at "
            f"{best.points[-1].nats:.2f} nats "
            + ", ".join(
                f"{name} {effect_text(best.points[-1].changes[name])}" for name in _names(one)
            )
            + f", text agreement {effect_text(best.points[-1].text, 3)}"
        )
    return counted_claim(
        "this study",
        "Steering reaches further than the word in the prompt, and costs no more text agreement.",
        "at a divergence at which the best method loses no more text agreement than the word, the mean "
        "change of both readings is larger, for every attribute with a word",
        tests,
        listed(numbers),
    )


def _names(one: AttributeResult) -> list[str]:
    return [reading.name for reading in one.attribute.readings]


def _is_further(point: Point, word: Point, names: Sequence[str]) -> bool:
    return all(point.changes[name].change > word.changes[name].change for name in names)
