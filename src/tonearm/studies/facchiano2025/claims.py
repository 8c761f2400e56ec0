"""The paper's claims, each with the numbers that bear on it.

A claim holds where its test, stated with it, is met in every attribute and sign, in part where it is
met in some, and is not testable where the records hold no number for the test. None of the paper's
numbers is comparable: checkpoint, tracker and embedding of FAD differ.
"""

from collections.abc import Callable
from math import isnan, nan
from statistics import fmean

from tonearm.report.claims import Claim, Tested, verdict
from tonearm.stats.effect import Effect
from tonearm.studies.facchiano2025.analysis import Contrast, Results
from tonearm.studies.facchiano2025.choices import LayerEffect
from tonearm.studies.facchiano2025.design import PAIR, SIGNS

PLATEAU = 0.8  # of the effect of the largest set counts as the plateau
FEW = (10, 25)  # prompts that suffice by the paper


def all_claims(results: Results) -> list[Claim]:
    """Test every claim.

    Args:
        results: of the study.
    """
    tests: list[Callable[[Results], Claim]] = [
        middle_layers,
        blocks,
        one_to_all,
        threshold,
        quality,
        few_prompts,
        both_branches,
        all_steps,
        combination,
    ]
    return [test(results) for test in tests]


def percent(effect: Effect) -> str:
    """`+58 % [51, 66]`; a dash under two prompts."""
    if isnan(effect.change):
        return "–"
    change, low, high = (100 * value for value in (effect.change, effect.low, effect.high))
    return f"{change:+.0f} % [{low:+.0f}, {high:+.0f}]"


def middle_layers(results: Results) -> Claim:
    """4.2: directions of the middle layers steer most."""
    numbers, verdicts = [], []
    for pair, effects in results.scan.items():
        layers = sorted({one.layer for one in effects})
        third = (layers[-1] + 1) / 3
        scores = {
            name: _mean_score([one for one in effects if low <= one.layer < high])
            for name, low, high in (
                ("first", 0, third),
                ("middle", third, 2 * third),
                ("last", 2 * third, len(layers)),
            )
        }
        best = max(scores, key=lambda name: scores[name])
        verdicts.append(best == "middle")
        listed = ", ".join(f"{name} third {score:.1f}" for name, score in scores.items())
        numbers.append(f"{pair}: best layer {results.best[pair]}; mean t-statistic {listed}")
    return Claim(
        "4.2, fig. 4",
        "Directions of a middle block of layers have the largest effect.",
        "the middle third of the layers has the highest mean t-statistic at equal divergence, for "
        "both attributes",
        verdict(verdicts),
        "; ".join(numbers) + ".",
    )


def _mean_score(effects: list[LayerEffect]) -> float:
    scores = [one.score for one in effects if one.score == one.score]
    return fmean(scores) if scores else nan


def blocks(results: Results) -> Claim:
    """4.2: neighbouring layers' directions form blocks."""
    found = {pair: results.geometry[pair].blocks for pair in PAIR.values()}
    numbers = "; ".join(
        f"{pair}: {len(set(one.labels))} blocks {one.labels}, silhouette {one.silhouette:.2f}, mean "
        f"cosine {one.within:.2f} within and {one.between:.2f} between"
        for pair, one in found.items()
    )
    return Claim(
        "4.2, fig. 6",
        "Directions of neighbouring layers are similar and form blocks.",
        "clusters of layers are contiguous, with a silhouette above 0.25, for both attributes",
        verdict([one.contiguous and one.silhouette > 0.25 for one in found.values()]),
        numbers + ".",
    )


def one_to_all(results: Results) -> Claim:
    """3.3: one-to-all is better than all-to-all."""
    return _preferred(
        results,
        "strategies",
        "all-to-all",
        "3.3",
        "One layer's direction in all layers steers more than each layer's own.",
        "at equal divergence",
    )


def both_branches(results: Results) -> Claim:
    """A.2: both guidance branches."""
    return _preferred(
        results,
        "branches",
        ("branch conditional", "branch unconditional"),
        "A.2",
        "Injection into both guidance branches is better than into one.",
        "at equal divergence",
    )


def all_steps(results: Results) -> Claim:
    """A.1: all steps."""
    return _preferred(
        results,
        "steps",
        "first step",
        "A.1",
        "Injection at every step is better than at the first alone.",
        "at equal strength",
    )


def _preferred(
    results: Results,
    experiment: str,
    worse: str | tuple[str, ...],
    place: str,
    text: str,
    level: str,
) -> Claim:
    """Test whether a variant moves the second measure more than others, paired by prompt."""
    found = [
        one
        for one in results.contrasts
        if one.experiment == experiment and one.worse.endswith(worse)
    ]
    return Claim(
        place,
        text,
        f"{level} the onset rate or centroid goes further in the sign's sense, beyond the interval of "
        "the paired difference, for both attributes and signs",
        verdict([_tested(one) for one in found]),
        "; ".join(_contrast_text(one) for one in found) + ".",
    )


def _tested(one: Contrast) -> Tested:
    return None if isnan(one.effect.low) else one.effect.is_beyond(SIGNS[one.sign])


def _contrast_text(one: Contrast) -> str:
    worse = one.worse.removeprefix(f"{one.pair}, ")
    return f"{one.pair} {one.sign} against {worse}: {percent(one.effect)}"


def threshold(results: Results) -> Claim:
    """4.3: the effect grows with λ up to a threshold."""
    numbers: list[str] = []
    verdicts: list[Tested] = []
    strengths = sorted({row.facts["strength"] for row, _ in results.strengths})
    for (pair, sign), trend in results.trends.items():
        inside = strengths[0] < trend.until < strengths[-1]
        verdicts.append(None if isnan(trend.page) else inside and trend.page < 0.05)
        numbers.append(
            f"{pair} {sign}: rises to λ = {trend.until:g}, Page's p {trend.page:.2g}, "
            f"{100 * trend.slope.value:+.1f} points per doubling"
        )
    return Claim(
        "4.3, fig. 5",
        "The effect grows with λ up to a threshold, beyond which it becomes inconsistent.",
        "Page's trend is certain and the rise ends within the strengths tried, in every curve",
        verdict(verdicts),
        "; ".join(numbers) + ".",
    )


def quality(results: Results) -> Claim:
    """4.3: quality breaks beyond the threshold."""
    numbers: list[str] = []
    verdicts: list[Tested] = []
    for pair in PAIR.values():
        for sign in SIGNS:
            found = [
                (row.facts["strength"], distance.fad, row.faulty.value)
                for row, distance in results.strengths
                if (row.facts["pair"], row.facts["sign"]) == (pair, sign)
                and distance.fad is not None
            ]
            if len(found) < 2:
                verdicts.append(None)
                numbers.append(f"{pair} {sign}: no FAD")
                continue
            first, last = found[0], found[-1]
            verdicts.append((last[1] or 0) > 2 * (first[1] or 0))
            listed = ", ".join(f"λ {s:g}: {fad:.2f}" for s, fad, _ in found)
            numbers.append(f"{pair} {sign}: FAD {listed}")
    return Claim(
        "4.3, fig. 7",
        "FAD stays low for small λ and rises sharply beyond a threshold.",
        "FAD at the largest strength is more than twice that at the smallest, in every curve",
        verdict(verdicts),
        "; ".join(numbers) + ".",
    )


def few_prompts(results: Results) -> Claim:
    """4.4: 10 to 25 prompts suffice."""
    numbers: list[str] = []
    verdicts: list[Tested] = []
    for pair in PAIR.values():
        for sign in SIGNS:
            means = {
                one.size: one.mean for one in results.sizes if (one.pair, one.sign) == (pair, sign)
            }
            largest = max(means)
            if not means[largest]:
                verdicts.append(None)
                numbers.append(f"{pair} {sign}: no effect of {largest} prompts")
                continue
            shares = {size: mean / means[largest] for size, mean in means.items()}
            few = [shares[size] for size in FEW if size in shares]
            verdicts.append(max(few) >= PLATEAU if few else None)
            listed = ", ".join(f"{size}: {share:.0%}" for size, share in shares.items())
            numbers.append(f"{pair} {sign}, share of the effect of {largest} prompts by {listed}")
    return Claim(
        "4.4, fig. 8",
        "10 to 25 prompts a side suffice.",
        f"their mean effect is at least {PLATEAU:.0%} of that of the largest set, in every curve",
        verdict(verdicts),
        "; ".join(numbers) + ".",
    )


def combination(results: Results) -> Claim:
    """6: two attributes combine."""
    row, centroid = next(
        (row, centroid)
        for row, centroid in results.fast_dark
        if row.facts["variant"] == "two vectors"
    )
    return Claim(
        "6",
        'Two vectors combine: "fast but dark".',
        "held-out takes have more onsets and a lower centroid, both beyond their intervals",
        verdict([row.second.low > 0, centroid.high < 0]),
        f"BPM {percent(row.effect)}, onset rate {percent(row.second)}, centroid {percent(centroid)}, "
        f"faulty {row.faulty}.",
    )
