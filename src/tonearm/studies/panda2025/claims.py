"""The paper's claims, each with the numbers that bear on it.

A claim holds where its test, stated with it, is met in every row, in part where it is met in some,
and is not testable where the records hold no number for the test. None of the paper's numbers is
comparable: checkpoint, corpus and CLAP differ.
"""

from collections.abc import Callable
from math import isnan

from tonearm.report.claims import Claim, verdict
from tonearm.stats.effect import Effect
from tonearm.studies.panda2025.analysis import Contrast, PairResult, Results
from tonearm.studies.panda2025.clip_analysis import Transfer
from tonearm.studies.panda2025.clips import INSTRUMENT, STYLE
from tonearm.studies.panda2025.design import INSTRUMENTS, MAX_TEXT_LOSS, SITES
from tonearm.studies.panda2025.rows import Row
from tonearm.studies.panda2025.structure_report import structure_claims
from tonearm.studies.panda2025.structure_results import Structure


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
        Claim(
            "III, V, figs. 1 to 4",
            "Musical concepts are present: k-means clusters overlap with the labels.",
            "at the layer with the highest ARI, ARI is above what 95 % of permutations reach in any "
            "layer, for every concept and site",
            verdict([one.is_found for one in found.clusters]),
            "; ".join(
                f"{one.task}, {one.site}: ARI {one.ari:.3f} (null {one.bound:.3f}) in layer {one.layer}"
                for one in found.clusters
            )
            + ".",
        ),
        Claim(
            "III, figs. 1 and 2",
            "Concepts are represented best in middle layers.",
            "the layer with the highest ARI is in the middle third, for every concept and site",
            verdict([one.is_middle for one in found.clusters]),
            "; ".join(
                f"{one.task}, {one.site}: layer {one.layer} of 0 to {one.layers - 1}"
                for one in found.clusters
            )
            + ".",
        ),
        Claim(
            "III, IV-C",
            "Concepts are linearly separable in the activations.",
            "the balanced accuracy of a linear probe on held-out tracks is above what 95 % of "
            "permutations reach in any layer, for every concept and site",
            verdict([one.is_found for one in found.probes]),
            "; ".join(
                f"{one.task}, {one.site}: {one.accuracy:.2f} (chance {one.chance:.2f}, null "
                f"{one.bound:.2f}) in layer {one.layer}"
                for one in found.probes
            )
            + ".",
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
        "Linear probes trained with squared error steer better than with cross-entropy.",
    )


def mse_against_means(results: Results) -> Claim:
    """IV-C: probes against the difference in means."""
    return _preferred(
        results,
        "diffmean",
        "Linear probes trained with squared error steer better than the difference in means "
        "(implied by their choice in IV-D).",
    )


def _preferred(results: Results, worse: str, text: str) -> Claim:
    found = [one for one in results.contrasts if one.worse == worse]
    return Claim(
        "IV-E2",
        text,
        "at equal divergence (both sites) and at equal α the target's score is higher, beyond the "
        "interval of the paired difference, in every pair",
        verdict([_above(one.score) for one in found]),
        "; ".join(_contrast_text(one) for one in found) + ".",
    )


def _contrast_text(one: Contrast) -> str:
    level = one.comparison.split("at ")[1]
    return f"{one.pair}, {one.site}, {level}: {points(one.score)}"


def both_sites(results: Results) -> Claim:
    """IV-E: residual stream and attention outputs."""
    rows = [(one, site, one.at(site)) for one in results.pairs for site in SITES]
    return Claim(
        "IV-E, tables I and II",
        "Steering works at the residual stream and at attention outputs.",
        "at equal divergence the target's score rises beyond its interval by CLAP and by the "
        "classifier of musicnn's tags, in every pair and at both sites",
        verdict([_agreed(row) for _, _, row in rows]),
        "; ".join(
            f"{one.pair.name}, {site}: CLAP {points(row.target)}, tags {_tags(row)}"
            for one, site, row in rows
        )
        + ".",
    )


def _agreed(row: Row) -> bool | None:
    """Whether two evaluators of different families see the target rise."""
    if "tags" not in row.scores:
        return _above(row.target)
    both = _above(row.target), _above(row.scores["tags"])
    return None if None in both else all(both)


def _tags(row: Row) -> str:
    return points(row.scores["tags"]) if "tags" in row.scores else "not measured"


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
    return Claim(
        "tables I and II",
        "The target's score rises by 0.06 to 0.33.",
        "under a condition that neutral prompts chose (α of the paper's method, or method, site, form "
        "and α), the mean rise on held-out prompts is at least the paper's, and the cosine of take and "
        f"prompt falls by at most {MAX_TEXT_LOSS:g}, in every pair",
        verdict(verdicts),
        "; ".join(numbers) + ".",
    )


def fusion(results: Results) -> Claim:
    """IV-E1: the source stays."""
    numbers, verdicts = [], list[bool | None]()
    for one in results.pairs:
        row = one.own
        source, word = row.scores["source cosine"], _word(one, "target's word")
        verdicts.append(
            _above(row.scores["cosine"]) and source.low > word.scores["source cosine"].high
        )
        numbers.append(
            f"{one.pair.name}: target {points(row.scores['cosine'])}, source {points(source)}; "
            f"target's word alone: target {points(word.scores['cosine'])}, source "
            f"{points(word.scores['source cosine'])}"
        )
    return Claim(
        "IV-E1",
        "Steering fuses genres: the target comes in while the source stays.",
        "at equal divergence the cosine with the target's text rises beyond its interval, and that "
        "with the source's text falls less than by the target's word in place of the source's, "
        "intervals apart, in every pair",
        verdict(verdicts),
        "; ".join(numbers) + ".",
    )


def _word(one: PairResult, name: str) -> Row:
    return next(row for row in one.words if row.facts["variant"] == name)


def _steered(results: Results, experiment: str) -> list[Transfer]:
    """Transfers by the learned vectors."""
    return [
        one
        for one in results.transfers
        if one.experiment == experiment and one.nats is not None and "random" not in one.variant
    ]


def instruments(results: Results) -> Claim:
    """Table III."""
    found = _steered(results, INSTRUMENT)
    paper = {one.target: one.after - one.before for one in INSTRUMENTS}
    return Claim(
        "table III",
        "A given clip is steered to flute, violin or xylophone.",
        "the target's score among the three rises beyond its interval, in every mode and at every "
        "divergence",
        verdict([_above(one.row.target) for one in found]),
        "; ".join(
            f"{one.target}, {one.mode}, {one.nats:g} nats: {points(one.row.target)} "
            f"(paper {paper[one.target]:+.3f})"
            for one in found
        )
        + ".",
    )


def timbre(results: Results) -> Claim:
    """The abstract's timbre transfer: the notes stay."""
    found = [one for one in _steered(results, INSTRUMENT) if "chroma" in one.kept]
    return Claim(
        "I, table III",
        "Timbre changes while the musical content stays.",
        "chroma similarity with the given clip is not lower than that of plain takes, beyond the "
        "interval of the paired difference, and above that with other clips",
        verdict(
            [
                not one.kept["chroma"].own.is_beyond(-1)
                and one.kept["chroma"].mean > one.kept["chroma"].unrelated
                for one in found
            ]
        ),
        "; ".join(
            f"{one.target}, {one.mode}, {one.nats:g} nats: {one.kept['chroma'].mean:.2f} (plain "
            f"{one.kept['chroma'].plain:.2f}, other clips {one.kept['chroma'].unrelated:.2f}), "
            f"difference {points(one.kept['chroma'].own)}"
            for one in found
        )
        + ".",
    )


def styles(results: Results) -> Claim:
    """The abstract's style transfer."""
    found = _steered(results, STYLE)
    return Claim(
        "I",
        "The style of a given clip is transferred.",
        "the target genre's score rises beyond its interval, in every mode and at every divergence",
        verdict([_above(one.row.target) for one in found]),
        "; ".join(
            f"{one.source} to {one.target}, {one.mode}, {one.nats:g} nats: {points(one.row.target)}"
            for one in found
        )
        + ".",
    )


def stacking(results: Results) -> Claim:
    """Several genres at once."""
    both = [one for one in results.stacked if one.name == " and ".join(one.targets)]
    return Claim(
        "I",
        "Elements of several genres are combined.",
        "with two vectors at half of their α of equal divergence, the cosines with both targets' "
        "texts rise beyond their intervals",
        verdict([_above(one.cosines[target]) for one in both for target in one.targets]),
        "; ".join(
            f"{one.name}: " + ", ".join(f"{name} {points(e)}" for name, e in one.cosines.items())
            for one in results.stacked
        )
        + ".",
    )


def _above(effect: Effect) -> bool | None:
    return None if isnan(effect.low) else effect.low > 0
