"""The paper's claims, each with the numbers that bear on it.

A claim holds where its test, stated with it, is met in every row, in part where it is met in some,
and is not testable where the records hold no number for the test. None of the paper's numbers is
comparable: checkpoint, corpus and CLAP differ.
"""

from collections.abc import Callable, Iterable
from math import isnan

import numpy as np

from tonearm.report.claims import Claim, counted_claim
from tonearm.stats.discoveries import discoveries
from tonearm.stats.effect import Effect
from tonearm.studies.panda2025.analysis import Contrast, PairResult, Results
from tonearm.studies.panda2025.clip_analysis import Kept, Transfer
from tonearm.studies.panda2025.clips import INSTRUMENT, STYLE
from tonearm.studies.panda2025.design import INSTRUMENTS, MAX_TEXT_LOSS, PAPER_METHOD, SITES
from tonearm.studies.panda2025.rows import Spread
from tonearm.studies.panda2025.stages import EQUAL_DIVERGENCE
from tonearm.studies.panda2025.structure_report import structure_claims
from tonearm.studies.panda2025.structure_results import Structure

KEPT = 0.05  # loss of a cosine that counts as none


def all_claims(results: Results) -> list[Claim]:
    """Test every claim about steering.

    Args:
        results: of the study.
    """
    tests: list[Callable[[Results], Claim]] = [
        mse_against_bce,
        mse_against_means,
        both_sites,
        as_large,
        fusion,
        instruments,
        timbre,
        styles,
        stacking,
    ]
    return [test(results) for test in tests]


def concept_claims(structure: Structure) -> list[Claim]:
    """Test the claims about clusters and probes.

    Args:
        structure: of the activations.
    """
    found = structure_claims(structure)
    return [
        counted_claim(
            "III, V, figs. 1 to 4",
            "Musical concepts are present: k-means clusters overlap with the labels.",
            "at the layer with the highest ARI, ARI is above what 95 % of permutations reach in any "
            "layer, for every concept and site",
            [one.is_found for one in found.clusters],
            _listed(
                f"{one.task}, {one.site}: ARI {one.ari:.3f} (null {one.bound:.3f}) in layer {one.layer}"
                for one in found.clusters
            ),
        ),
        counted_claim(
            "–",
            "Concepts are represented best in middle layers (expected, not stated in the paper's text).",
            "the layer with the highest ARI is in the middle third, for every concept and site whose "
            "clusters are above their null",
            [one.is_middle for one in found.clusters if one.is_found],
            _listed(
                f"{one.task}, {one.site}: layer {one.layer} of 0 to {one.layers - 1}"
                for one in found.clusters
                if one.is_found
            ),
        ),
        counted_claim(
            "III, IV-C",
            "Concepts are linearly separable in the activations.",
            "the balanced accuracy of a linear probe on held-out folds is above what 95 % of "
            "permutations reach in any layer, for every concept and site",
            [one.is_found for one in found.probes]
            + [None] * (len(found.clusters) - len(found.probes)),
            _listed(
                f"{one.task}, {one.site}: {one.accuracy:.2f} (chance {one.chance:.2f}, null "
                f"{one.bound:.2f}) in layer {one.layer}"
                for one in found.probes
            ),
        ),
    ]


def points(effect: Effect) -> str:
    """`+0.12 [0.05, 0.19]`; a dash under two prompts."""
    if isnan(effect.change):
        return "–"
    return f"{effect.change:+.3f} [{effect.low:+.3f}, {effect.high:+.3f}]"


def mse_against_bce(results: Results) -> Claim:
    """IV-E2: probes with squared error steer better than with cross-entropy."""
    return _preferred(
        results,
        "bce-probe",
        "IV-E2",
        "Linear probes trained with squared error steer better than with cross-entropy.",
    )


def mse_against_means(results: Results) -> Claim:
    """IV-C, IV-E2: probes against the difference in means."""
    return _preferred(
        results,
        "diffmean",
        "IV-C",
        "Linear probes trained with squared error steer better than the difference in means (the "
        "paper lists both and reports probes).",
    )


def _preferred(results: Results, against: str, place: str, text: str) -> Claim:
    """Test whether the MSE probe moves the target's score more than another method."""
    found = [one for one in results.contrasts if one.against == against]
    certain = discoveries(np.array([one.score.p for one in found]))
    senses = [
        float(np.sign(one.score.change)) if is_certain else 0.0
        for one, is_certain in zip(found, certain, strict=True)
    ]
    return counted_claim(
        place,
        text,
        "at equal divergence (both sites) and at equal α the paired difference of the target's score "
        "is above 0 at a false discovery rate of 5 %, in every pair",
        [
            None if isnan(one.score.low) else sense > 0
            for one, sense in zip(found, senses, strict=True)
        ],
        f"Certainly better in {senses.count(1.0)} of {len(found)} comparisons, certainly worse in "
        f"{senses.count(-1.0)}: " + _listed(_contrast_text(one) for one in found),
    )


def _contrast_text(one: Contrast) -> str:
    level = one.comparison.split("at ")[1]
    return f"{one.pair}, {one.site}, {level}: {points(one.score)}"


def _listed(numbers: Iterable[str]) -> str:
    found = list(numbers)
    return "; ".join(found) + "." if found else "nothing to compare."


def both_sites(results: Results) -> Claim:
    """IV-E: residual stream and attention outputs."""
    rows = [(one, site, one.at(site)) for one in results.pairs for site in SITES]
    return counted_claim(
        "IV-E, tables I and II",
        "Steering works at the residual stream and at attention outputs.",
        "at equal divergence the target's score rises beyond its interval by CLAP and by the "
        "classifier of musicnn's tags, and at the site of the paper's row further than by every "
        "random direction of equal divergence, in every pair and at both sites",
        [
            _all(_above(row.target), _above(row.scores["tags"]), _beyond_random(one, site))
            for one, site, row in rows
        ],
        _listed(
            f"{one.pair.name}, {site}: CLAP {points(row.target)}, tags {points(row.scores['tags'])}"
            f"{_random_text(one, site)}"
            for one, site, row in rows
        ),
    )


def _spread(one: PairResult, site: str) -> Spread | None:
    """Random directions of equal divergence, which are at the site of the paper's row."""
    if site != one.pair.site:
        return None
    return next(spread for spread in one.random if spread.facts["rule"] == EQUAL_DIVERGENCE)


def _beyond_random(one: PairResult, site: str) -> bool | None:
    spread = _spread(one, site)
    return True if spread is None else not spread.as_far()


def _random_text(one: PairResult, site: str) -> str:
    spread = _spread(one, site)
    return f", {spread.as_far()} of {len(spread.rows)} random directions as far" if spread else ""


def _all(*tests: bool | None) -> bool | None:
    """Whether all tests are met; None where one has no number."""
    return None if None in tests else all(tests)


def as_large(results: Results) -> Claim:
    """Tables I and II: the paper's effects."""
    numbers, verdicts = [], list[bool | None]()
    for one in results.pairs:
        paper = one.pair.after - one.pair.before
        large = [
            row.target.change >= paper and -row.text.change <= MAX_TEXT_LOSS
            for row in one.chosen.values()
        ]
        verdicts.append(any(large))
        numbers += [
            f"{one.pair.name} (paper {paper:+.3f}), {rule}: {points(row.target)} by "
            f"{row.facts['method']}, {row.facts['site']}, {row.facts['form']} at α = "
            f"{row.facts['alpha']:.3g}, text agreement {points(row.text)}"
            for rule, row in one.chosen.items()
        ] or [f"{one.pair.name}: every condition costs more"]
    return counted_claim(
        "tables I and II",
        "The target's score rises by 0.06 to 0.33.",
        "under a condition that neutral prompts chose (α of the paper's method, or method, site, form "
        "and α), the mean rise on held-out prompts is at least the paper's, and the cosine of take and "
        f"prompt falls by at most {MAX_TEXT_LOSS:g}, in every pair",
        verdicts,
        _listed(numbers),
    )


def fusion(results: Results) -> Claim:
    """IV-E1: the source stays."""
    numbers, verdicts = [], list[bool | None]()
    for one in results.pairs:
        row, word = one.own, one.word("target's word")
        target, source = row.scores["cosine"], row.scores["source cosine"]
        verdicts.append(_all(_above(target), _is_kept(source)))
        numbers.append(
            f"{one.pair.name}: target {points(target)}, source {points(source)}; target's word alone: "
            f"target {points(word.scores['cosine'])}, source {points(word.scores['source cosine'])}"
        )
    return counted_claim(
        "IV-E1",
        "Steering fuses genres: the target comes in while the source stays.",
        "at equal divergence the cosine with the target's text rises beyond its interval, and the "
        f"interval of that with the source's text is above -{KEPT:g}, in every pair",
        verdicts,
        _listed(numbers),
    )


def _is_kept(effect: Effect) -> bool | None:
    return None if isnan(effect.low) else effect.low > -KEPT


def _steered(results: Results, experiment: str) -> list[Transfer]:
    """Transfers by the learned vectors."""
    return [
        one
        for one in results.transfers
        if one.experiment == experiment and one.nats is not None and not one.is_random
    ]


def _by_paper(found: Iterable[Transfer]) -> list[Transfer]:
    return [one for one in found if one.method == PAPER_METHOD]


def _place(one: Transfer) -> str:
    """Target, mode, method and divergence of a transfer."""
    target = f"{one.source} to {one.target}" if one.source else one.target
    return f"{target}, {one.mode}, {one.method}, {one.nats:g} nats"


def instruments(results: Results) -> Claim:
    """Table III."""
    found = _steered(results, INSTRUMENT)
    paper = {one.target: one.after - one.before for one in INSTRUMENTS}
    return counted_claim(
        "table III",
        "A given clip is steered to flute, violin or xylophone.",
        "by the paper's method the target's score among the three rises beyond its interval, and "
        "further than by a random direction, in every mode and at every divergence",
        [_is_transferred(results, one) for one in _by_paper(found)],
        _listed(
            f"{_place(one)}: {points(one.row.target)} "
            f"(paper {paper[one.target]:+.3f}), tags {points(one.row.scores['tags'])}"
            for one in found
        ),
    )


def _is_transferred(results: Results, one: Transfer) -> bool | None:
    """Whether the target's score rises, and further than by the random direction."""
    (random,) = (
        other.row.target.change
        for other in results.transfers
        if other.is_random
        and (other.experiment, other.mode, other.source, other.target)
        == (one.experiment, one.mode, one.source, one.target)
    )
    return _all(_above(one.row.target), None if isnan(random) else one.row.target.change > random)


def timbre(results: Results) -> Claim:
    """The abstract's timbre transfer: the notes stay."""
    found = [one for one in _steered(results, INSTRUMENT) if "chroma" in one.kept]
    return counted_claim(
        "I, table III",
        "Timbre changes while the musical content stays.",
        "by the paper's method the instrument's score rises beyond its interval, the interval of the "
        f"difference of chroma similarity from plain takes is above -{KEPT:g}, and the similarity is "
        "above that with other clips, in every mode and at every divergence",
        [
            _all(_above(one.row.target), _is_kept(kept.own), _is_own(kept))
            for one in _by_paper(found)
            for kept in [one.kept["chroma"]]
        ],
        _listed(
            f"{_place(one)}: chroma {kept.mean:.2f} (plain "
            f"{kept.plain:.2f}, other clips {kept.unrelated:.2f}), difference {points(kept.own)}"
            for one in found
            for kept in [one.kept["chroma"]]
        ),
    )


def _is_own(kept: Kept) -> bool | None:
    return None if isnan(kept.mean) or isnan(kept.unrelated) else kept.mean > kept.unrelated


def styles(results: Results) -> Claim:
    """The abstract's style transfer."""
    found = _steered(results, STYLE)
    return counted_claim(
        "I",
        "The style of a given clip is transferred.",
        "by the paper's method the target genre's score rises beyond its interval, and further than by "
        "a random direction, in every mode and at every divergence",
        [_is_transferred(results, one) for one in _by_paper(found)],
        _listed(
            f"{_place(one)}: {points(one.row.target)}, tags {points(one.row.scores['tags'])}"
            for one in found
        ),
    )


def stacking(results: Results) -> Claim:
    """Several genres at once."""
    both = [one for one in results.stacked if one.name == " and ".join(one.targets)]
    return counted_claim(
        "I",
        "Elements of several genres are combined.",
        "with two vectors at half of their α of equal divergence, the cosines with both targets' "
        "texts rise beyond their intervals",
        [_above(one.cosines[target]) for one in both for target in one.targets],
        _listed(
            f"{one.name}: " + ", ".join(f"{name} {points(e)}" for name, e in one.cosines.items())
            for one in results.stacked
        ),
    )


def _above(effect: Effect) -> bool | None:
    return None if isnan(effect.low) else effect.low > 0
