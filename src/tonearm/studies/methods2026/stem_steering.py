"""Adding and removing drums by SMITIN's protocol: ITI, the weights of SMITIN, and its self-monitored
loop.

Directions are learned at the outputs of attention heads, at the last position of 3-s segments of
rendered pieces with and without drums, and act at the strengths of the papers on prompts that name
neither. A monitored steer rests where its probes read the attribute in the take itself, so that it has
no divergence teacher-forced on a plain take; ITI and SMITIN are therefore compared as in the paper, by
success and by the distance to plain takes.

    success  share of takes in which a classifier on the tags of musicnn finds drums (or none); it was
             trained on other rendered pieces
    FAD      to the plain takes of the same prompts, by the bundled CLAP; of equal n in all rows

Source: Li et al. 2023 (ITI); Koo et al. 2025 (SMITIN).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tonearm.measures import measure_fad
from tonearm.methods.learn_from_audio import learn_from_audio
from tonearm.model import Model
from tonearm.stats.effect import Effect, effect
from tonearm.stats.share import Share
from tonearm.steering import Steer, SteeringVector, load_vector, save_vector
from tonearm.studies.effects_evaluators import embedding_set
from tonearm.studies.methods2026.context import Context
from tonearm.studies.methods2026.design import HELD_OUT, OTHER_SEEDS, PLAIN, Design
from tonearm.studies.methods2026.examples import DrumExamples
from tonearm.studies.methods2026.readings import DRUMS, Evaluators
from tonearm.studies.methods2026.responses import plain_means, prompt_share
from tonearm.studies.methods2026.trials import takes
from tonearm.studies.methods2026.vectors import FOLDER
from tonearm.studies.plan import Trial
from tonearm.studies.records import Record, by_facts, select, values_of

EXPERIMENT = "stem steering"
SEGMENT, POOLING = 3.0, "last"
WITHOUT, WITH = "without drums", "with drums"  # labels of the classifier
SENSES = {WITH: 1, WITHOUT: -1}
GROUPS = ("signal", "clap", "tags", "percussion")


@dataclass(frozen=True)
class StemRow:
    """A way to steer.

    name       in tables
    method     whose directions it adds
    strength   α of the paper
    monitored  whether the loop decides when it acts
    """

    name: str
    method: str
    strength: float
    monitored: bool = False

    def steer(self, sign: int) -> Steer:
        loop: dict[str, Any] = {"monitor": True} if self.monitored else {}
        return Steer(
            vector=stem_vector(self.method),
            strength=sign * self.strength,
            strategy="all-to-all",
            **loop,
        )


ROWS = tuple(
    row
    for strength in (5.0, 10.0)
    for row in (
        StemRow(f"iti, α = {3 * strength / 2:g}", "iti", 3 * strength / 2),
        StemRow(f"smitin without its loop, α = {strength:g}", "smitin", strength),
        StemRow(f"smitin, α = {strength:g}", "smitin", strength, monitored=True),
    )
)
PUBLISHED = {"iti": "iti, α = 15", "smitin": "smitin, α = 10"}  # rows of the claim


def stem_vector(method: str) -> str:
    """Name of a vector towards drums."""
    return f"drums, {method}, last position"


def make_stems(model: Model, examples: DrumExamples, folder: Path) -> dict[str, SteeringVector]:
    """Fit the vectors that the folder of the run lacks, towards drums.

    Args:
        model: the checkpoint.
        examples: pieces without drums and with them.
        folder: of the run.

    Raises:
        NoDirection: none is beyond chance.
        TonearmError: the pieces cannot be made or captured.
    """
    found = dict[str, SteeringVector]()
    for method in dict.fromkeys(row.method for row in ROWS):
        path = folder / FOLDER / f"stem-{method}-{examples.identity[:12]}.safetensors"
        if not path.is_file():
            without, with_drums = examples.sides
            vector = learn_from_audio(
                model,
                with_drums,
                without,
                stem_vector(method),
                method=method,
                pooling=POOLING,
                segment_seconds=SEGMENT,
                positive_label=WITH,
                negative_label=WITHOUT,
                store=examples.store(f"heads, {POOLING}, {SEGMENT:g} s"),
            )
            save_vector(vector, path)
        found[stem_vector(method)] = load_vector(path)
    return found


def stem_steering(context: Context) -> list[Trial]:
    """Held-out prompts with drums added or removed."""
    return [
        trial
        for label, sign in SENSES.items()
        for row in ROWS
        if stem_vector(row.method) in context.vectors
        for trial in takes(
            context,
            HELD_OUT,
            {"experiment": EXPERIMENT, "label": label, "row": row.name},
            [row.steer(sign)],
            groups=GROUPS,
        )
    ]


def planned_stems(design: Design) -> int:
    """Takes of the stage."""
    return len(SENSES) * len(ROWS) * design.held_out


@dataclass(frozen=True)
class StemResult:
    """A way to steer, in one sense.

    label    with or without drums
    row      name of the way; empty for plain takes of other seeds
    plain    share of plain takes with the label
    success  the same of the steered takes
    level    change of the level of high onsets, in dB
    text     change of the cosine of take and prompt
    fad      to plain takes; None where a take is silent
    faulty   share of takes with a fault
    """

    label: str
    row: str
    plain: Share
    success: Share
    level: Effect
    text: Effect
    fad: float | None
    faulty: Share


def stem_results(records: Sequence[Record], evaluators: Evaluators) -> list[StemResult]:
    """Results of every way in both senses, and of plain takes of other seeds.

    Args:
        records: of all stages.
        evaluators: with the classifier of drums.
    """
    plain = select(records, experiment=PLAIN, split=HELD_OUT)
    steered = by_facts(select(records, experiment=EXPERIMENT), "label", "row")
    if not steered:
        return []
    seeds = select(records, experiment=OTHER_SEEDS, split=HELD_OUT)
    groups: Mapping[tuple[str, str], Sequence[Record]] = {
        **{(label, ""): seeds for label in SENSES},
        **{(label, row): found for (label, row), found in steered.items()},
    }
    return [_result(label, row, plain, found, evaluators) for (label, row), found in groups.items()]


def _result(
    label: str,
    row: str,
    plain: Sequence[Record],
    steered: Sequence[Record],
    evaluators: Evaluators,
) -> StemResult:
    def level(one: Record) -> float | None:
        value: float | None = one["high_onset_level"]["value"]
        return value

    def text(one: Record) -> float | None:
        value: float | None = one["clap_score"]["value"]
        return value

    own, other = embedding_set(steered, "steered"), embedding_set(plain, "plain")
    return StemResult(
        label,
        row,
        label_share(plain, label, evaluators),
        label_share(steered, label, evaluators),
        effect(plain_means(plain, steered, level), [level(one) for one in steered], "difference"),
        effect(plain_means(plain, steered, text), values_of(steered, "clap_score"), "difference"),
        measure_fad(own, other).value if own and other and len(steered) > 1 else None,
        Share.of(sum(bool(one["faulty"]) for one in steered), len(steered)),
    )


def label_share(records: Sequence[Record], label: str, evaluators: Evaluators) -> Share:
    """Share of takes that the classifier gives a label; a silent take has none."""
    classifier = evaluators.classifiers[DRUMS]

    def has_label(one: Record) -> bool:
        probability = classifier.probability(one, label)
        return probability is not None and probability > 0.5

    return prompt_share(records, has_label)
