"""Page of the effects study with its figures: `effects.md`.

Every number is computed from the records, the statements too.
"""

from collections.abc import Sequence
from pathlib import Path

from tonearm.files.atomic import atomic_write
from tonearm.model import Model
from tonearm.processing import CORNER
from tonearm.studies.effects_analysis import ATTRIBUTE_MEASURES, Results
from tonearm.studies.effects_conditions import (
    ATTRIBUTES,
    FIRST_SEED,
    GROUPS,
    OTHER_SEED,
    RANDOM_PROMPTS,
    RANDOM_SEEDS,
    RAW_STRENGTH,
    references,
)
from tonearm.studies.effects_evaluators import clap_accuracies, tracker_accuracies
from tonearm.studies.effects_figures import cost_panels, draw_figure, draw_spreads, effect_panels
from tonearm.studies.effects_random import BOTH
from tonearm.studies.effects_tables import (
    ALL_MEASURES,
    distances_table,
    effects_table,
    faults_table,
    random_tables,
    vectors_table,
)
from tonearm.studies.effects_text import TITLES, effect_text, spread_text
from tonearm.studies.records import Record

RECORDS = "effects-takes.jsonl.xz"  # one record per take, beside the page
PUBLISHED = (
    "Facchiano et al. 2025 (Table 1, the released musicgen-melody, Beat This!, strength 1.25): "
    "tempo -36 % / +30 %, centroid +20 % / -40 %."
)


def write_page(
    records: Sequence[Record], results: Results, model: Model, seconds: float, folder: Path
) -> None:
    """Write the page and its figures.

    Args:
        records: of the study.
        results: its numbers.
        model: that generated the takes.
        seconds: of each take.
        folder: of effects.md, effects.png, effects-costs.png and effects-random.png.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shown = results.rows[1:]
    draw_figure(shown, effect_panels(shown, ALL_MEASURES[1:]), folder / "effects.png")
    draw_figure(shown, cost_panels(results), folder / "effects-costs.png")
    if results.spreads:
        draw_spreads(results.spreads, folder / "effects-random.png")
    lines = [
        *_head(records, results, model, seconds),
        *_effects(results),
        *_vectors(results),
        "## What steering does that words, filters and time stretches cannot, and the reverse",
        "",
        "Each statement is computed from the records: a condition alone moves a measure where its "
        "95 % interval and that of the difference of the two conditions are beyond 0, and the "
        "other's interval is not; the intervals are not corrected for the number of statements.",
        "",
        *(f"- {claim}" for claim in results.claims),
        "",
        *_random(results),
        *_costs(results),
    ]
    with atomic_write(folder / "effects.md") as partial:
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _head(records: Sequence[Record], results: Results, model: Model, seconds: float) -> list[str]:
    own, takes = model.sampling(), results.plain.counts.takes
    seeds = "; ".join(
        f"seeds {RANDOM_SEEDS[one][0]} to {RANDOM_SEEDS[one][-1]} for {one}" for one in ATTRIBUTES
    )
    return [
        "# Effect of steering, beside its controls",
        "",
        "This page is written by `python -m tonearm.studies.effects --docs docs/studies`.",
        f"The records of all takes are in [{RECORDS}]({RECORDS}); with `--records` and that file, "
        "the command draws the page again without generating.",
        "",
        f"Protocol: checkpoint {model.shape.public_name} ({model.shape.fingerprint}), {takes} "
        f"held-out prompts, one take of {seconds:g} s each, seeds {FIRST_SEED} to "
        f'{FIRST_SEED + takes - 1}, equal in every condition but "other seeds" (from '
        f"{OTHER_SEED}); guidance {own.guidance:g}, temperature {own.temperature:g}, top-k "
        f"{own.top_k}.",
        "Amounts are calibrated per vector and sign on neutral prompts (`tonearm inspect` shows "
        f"strengths and injection); raw {RAW_STRENGTH:g} is the papers' strength, one-to-all.",
        "A word is put before the noun phrase of the prompt.",
        f"The shelving filter ({CORNER:g} Hz) and the time stretch (phase vocoder, cut to {seconds:g} s "
        "where longer) are applied to the unsteered takes: the gain gives them the mean centroid "
        "of the amount above, the rate is the ratio of its mean onset rate to that without "
        "steering.",
        f"Random directions, on the first {RANDOM_PROMPTS} prompts, have the norm of the vector "
        f"in every layer and its calibration: {seeds}.",
        "BPM is compared in takes whose beat is confirmed under both conditions; in brackets, the "
        "takes of the condition with a confirmed beat.",
        "Mean ± standard deviation over prompts without steering, and the change with its 95 % "
        "interval, a t-interval paired by prompt: of BPM and Hz the geometric mean of each prompt's "
        "ratio, of onset rates and pulse clarity the ratio of the means, of levels and scores the "
        "difference.",
        "Of random directions: mean and range over directions.",
        "Faults and pulse clarity: see [measures](../measures.md#faults). The CLAP score is the "
        "cosine of a take and the prompt without a word; its change is a difference.",
        f"Fingerprints of what made and measured the takes: {records[0]['fingerprints']}.",
        "",
    ]


def _effects(results: Results) -> list[str]:
    groups = [group for group in GROUPS if group != "vectors"]
    return [
        "![Change of tempo, onset rates and spectral centroid by condition](effects.png)",
        "",
        *effects_table(results, ALL_MEASURES, groups),
        "",
        "## Positive against negative sign",
        "",
        *(
            f"- {one.more} against {one.less}: "
            + "; ".join(
                f"{TITLES[name]} {effect_text(name, of)}" for name, of in one.effects.items()
            )
            for one in results.contrasts
        ),
        *(
            f"- {len(one.directions)} random directions in place of {one.attribute}, +1 against "
            f"-1: {TITLES[one.measure]} {spread_text(one)} (mean and range); the vector on the "
            f"same prompts {effect_text(one.measure, one.vector)}; {one.exceedance} move it as far"
            for one in results.spreads
            if one.sign == BOTH and one.measure in ATTRIBUTE_MEASURES[one.attribute]
        ),
        "",
        PUBLISHED,
        "",
    ]


def _vectors(results: Results) -> list[str]:
    if not (results.vectors or results.failures):
        return []
    return [
        "## The other vectors",
        "",
        "Each sign by the measure of its calibration: tags by musicnn, `clap:` the cosine with a "
        "text by the bundled CLAP. A sign that fails its calibration has no amounts.",
        "",
        *vectors_table(results),
        "",
    ]


def _random(results: Results) -> list[str]:
    if not results.spreads:
        return []
    return [
        "## Random directions",
        "",
        "A random direction has no sign of its own, and directions differ, so that the vector is "
        "compared with the spread over directions.",
        "Each cell is the change over the prompts of the random directions, paired by prompt: against "
        "no steering for one sign, + against - for ±; of CLAP score and loudness a "
        "difference.",
        "As far: directions that move the measure at least as far as the vector, in its own sense "
        "for one sign, in either sense for ±; if the vector were one more random direction, none of "
        "ten would be as far in one case of eleven.",
        "",
        "![Change by each random direction and by the vectors](effects-random.png)",
        "",
        *random_tables(results),
    ]


def _costs(results: Results) -> list[str]:
    card = "../../src/tonearm/assets/evaluators/README.md"
    trackers = tracker_accuracies()
    pieces = next(iter(trackers.values()))["n"]
    tracker_text = ", ".join(
        f"{name} {one['value']:.0%} [{one['low']:.0%}, {one['high']:.0%}]"
        for name, one in trackers.items()
    )
    clap_text = ", ".join(f"{name} {one['value']:.0%}" for name, one in clap_accuracies().items())
    seeds = ", ".join(str(condition.first_seed) for condition in references())
    takes = results.plain.counts.takes
    plain = results.distances[results.plain.condition.name]
    protocols = "; ".join(one.protocol for one in (plain.fad, plain.kad) if one)
    return [
        "## Faults",
        "",
        *faults_table(results),
        "",
        "## Distances",
        "",
        f"- The [bundled evaluators]({card}) were trained on pocket's corpus and count as one "
        f"family. Tempi within 4 % of {pieces} held-out rendered pieces, decoded by pocket's "
        f"codec: {tracker_text}. Accuracy of CLAP per attribute: {clap_text}.",
        f"- **FAD** of each condition's {takes} takes: to the unsteered takes of the same seeds, "
        f"and to the reference of {takes * len(references())} unsteered takes of the same prompts "
        f"with other seeds (from {seeds}). **KAD** to that reference. Small sets are biased "
        "upwards; the floor is no steering with other seeds in the first column, and no steering "
        "in the others. The distance measures change, not quality, and compares the checkpoint "
        f"with itself. Of no steering: {protocols}.",
        "- **Bundled tracker as librosa**: share of the takes with both tempi in which the two "
        "agree within 4 %, and within 4 % up to an octave.",
        "",
        "![Faulty takes, pulse clarity, CLAP score and FAD by condition](effects-costs.png)",
        "",
        *distances_table(results),
    ]
