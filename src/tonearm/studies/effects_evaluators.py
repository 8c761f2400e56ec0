"""Records of the effects study -> what the embedded ears say of each condition: a table, and the panels of a figure.

Fréchet distances are compared only within a column: every condition has as many takes as every other, each column has one reference.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tonearm import assets
from tonearm.evaluators.embedding_set import EmbeddingSet
from tonearm.measures import FAD, KAD, TempoAccuracy, measure_fad, measure_kad, tempo_accuracy
from tonearm.studies.effects import Condition, Effect, effect, references
from tonearm.studies.effects_figures import Panel


@dataclass(frozen=True)
class EarsReading:
    """One condition by the embedded ears. Distances are None where a take is silent: the sets would differ in n."""

    tempo: Effect  # BPM, relative
    tempo_count: int  # takes in which a tempo was found
    takes: int
    same_as_librosa: TempoAccuracy | None  # of the embedded beats' BPM, librosa's taken for the truth
    agreement: Effect  # cosine with the text asked for, a difference
    others_agreement: Effect  # the same with another take's text
    frechet_same_seeds: FAD | None  # to the unsteered takes of the same seeds
    frechet: FAD | None  # to the reference
    kernel: KAD | None


def read_by_ears(records: Sequence[Mapping[str, Any]], conditions: Sequence[Condition]) -> dict[str, EarsReading]:
    """By the condition's name; the first is no steering."""
    by_name = {c.name: of_condition(records, c.name) for c in conditions}
    plain = by_name[conditions[0].name]
    reference = embeddings([r for c in references() for r in of_condition(records, c.name)], "unsteered, other seeds")
    return {name: _read(takes, plain, reference, name) for name, takes in by_name.items()}


def _read(
    takes: Sequence[Mapping[str, Any]], plain: Sequence[Mapping[str, Any]], reference: EmbeddingSet | None, name: str
) -> EarsReading:
    heard, unsteered = embeddings(takes, name), embeddings(plain, "no steering")
    tempi, by_librosa = [r["embedded_tempo"]["value"] for r in takes], [r["tempo"]["value"] for r in takes]
    both = [(a, b) for a, b in zip(tempi, by_librosa, strict=True) if a is not None and b is not None]
    return EarsReading(
        tempo=effect([r["embedded_tempo"]["value"] for r in plain], tempi),
        tempo_count=sum(bpm is not None for bpm in tempi), takes=len(takes),
        same_as_librosa=tempo_accuracy(*zip(*both, strict=True)) if both else None,
        agreement=_difference(plain, takes, "text_agreement"),
        others_agreement=_difference(plain, takes, "others_agreement"),
        frechet_same_seeds=measure_fad(heard, unsteered) if heard and unsteered and takes != plain else None,
        frechet=measure_fad(heard, reference) if heard and reference else None,
        kernel=measure_kad(heard, reference) if heard and reference else None,
    )  # fmt: skip


def of_condition(records: Sequence[Mapping[str, Any]], condition: str) -> list[Mapping[str, Any]]:
    """Its records, by prompt."""
    return sorted((r for r in records if r["condition"] == condition), key=lambda r: r["prompt"])


def embeddings(takes: Sequence[Mapping[str, Any]], source: str) -> EmbeddingSet | None:
    """None where there are no takes, or where one of them is silent."""
    rows = [take["embedding"] for take in takes]
    return EmbeddingSet(np.array(rows), takes[0]["judge"], source) if rows and None not in rows else None


def _difference(plain: Sequence[Mapping[str, Any]], takes: Sequence[Mapping[str, Any]], key: str) -> Effect:
    return effect([r[key] for r in plain], [r[key] for r in takes], relative=False)


def ears_section(readings: Mapping[str, EarsReading], conditions: Sequence[Condition]) -> list[str]:
    """The lines of the page."""
    plain = readings[conditions[0].name]
    seeds = ", ".join(str(c.first_seed) for c in references())
    protocols = "; ".join(distance.protocol for distance in (plain.frechet, plain.kernel) if distance)
    lines = [
        "## By the embedded ears",
        "",
        "The same takes, heard by the [ears that ship with Tonearm](../../src/tonearm/assets/evaluators/README.md). **Embedded beats** is a small Beat This!; "
        f"{beats_accuracy()} *Takes with a tempo* have four beats or more; *as librosa* is the share of those whose tempo "
        "librosa reads within 4 %, and with the octave forgiven: where two trackers seldom agree, the music has no plain beat, and BPM says little.",
        "",
        f"**Embedded judge** is a small CLAP; {judge_accuracy()} *Text agreement* is the cosine of a take and the prompt it was asked for, with the word where a word was put in; with the "
        f"next prompt's text instead, unsteered takes have {plain.others_agreement.mean:.2f}. Its change is a difference, with its interval as above. "
        f"*Fréchet distance* is that of each condition's {plain.takes} takes: to the {plain.takes} unsteered takes of the same seeds, and to the reference, "
        f"{plain.takes * len(references())} unsteered takes of the same prompts with other seeds (from {seeds}); *kernel distance* to that reference too. "
        "So few takes lie far from anything, their own kind included: what counts is the excess over the floor, which is no steering with other seeds in the first "
        "column and no steering in the others, where the figure's bars begin. The distance says that the music moved, not that it moved for the worse: a word moves it too. It compares pocket's "
        f"takes with pocket's takes, and says nothing about music at large. Of no steering: {protocols}.",
        "",
        "![Tempo, text agreement and Fréchet distance by condition, by the embedded ears](effects-ears.png)",
        "",
        "| condition | BPM, embedded beats | change | takes with a tempo | as librosa | text agreement, embedded judge | change | Fréchet, same seeds | Fréchet, other seeds | "
        "kernel, other seeds |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    return lines + [_row(c, readings[c.name], c is conditions[0]) for c in conditions]


def _row(condition: Condition, read: EarsReading, is_plain: bool) -> str:
    same = read.same_as_librosa
    cells = [
        condition.label,
        f"{read.tempo.mean:.0f} ± {read.tempo.deviation:.0f}" if read.tempo.n > 1 else "–",
        "" if is_plain else change_text(read.tempo),
        f"{read.tempo_count} of {read.takes}",
        f"{same.accuracy_1.value:.0%}, {same.accuracy_2.value:.0%}" if same else "–",
        f"{read.agreement.mean:.2f}" if read.agreement.n > 1 else "–",
        "" if is_plain else difference_text(read.agreement),
        *("–" if x is None else f"{x.value:.3f}" for x in (read.frechet_same_seeds, read.frechet)),
        "–" if read.kernel is None else f"{read.kernel.value:.1f}",
    ]
    return "| " + " | ".join(cells) + " |"


def ears_panels(readings: Mapping[str, EarsReading], conditions: Sequence[Condition]) -> list[Panel]:
    """Of all conditions but no steering, which is where the bars begin."""
    floor = readings[conditions[0].name].frechet
    shown = [readings[c.name] for c in conditions[1:]]
    tempi, agreements = [r.tempo for r in shown], [r.agreement for r in shown]
    return [
        Panel(
            "tempo (BPM, embedded beats)", "change of the mean against no steering, %",
            [100 * e.change for e in tempi], [100 * e.low for e in tempi], [100 * e.high for e in tempi],
        ),
        Panel(
            "text agreement (embedded judge)", "difference of mean cosines",
            [e.change for e in agreements], [e.low for e in agreements], [e.high for e in agreements],
        ),
        Panel(
            "Fréchet distance (embedded judge)", "to unsteered takes of other seeds",
            [float("nan") if r.frechet is None else r.frechet.value for r in shown], zero=floor.value if floor else 0.0,
        ),
    ]  # fmt: skip


def beats_accuracy() -> str:
    """From the ears' card: how often each tracker is right where the tempo is known."""
    shares = {tracker: of["decoded"]["accuracy_1"] for tracker, of in _card()["beats"]["performances"].items()}
    told = [f"{tracker} {s['value']:.0%} [{s['low']:.0%}, {s['high']:.0%}]" for tracker, s in shares.items()]
    count = next(iter(shares.values()))["n"]
    return f"of {count} rendered pieces it had never heard, decoded by pocket's codec, tempi within 4 % by its card: {', '.join(told)}."


def judge_accuracy() -> str:
    """From the ears' card: which words of a prompt the judge understands."""
    shares = {question: s for question, s in _card()["clap"]["decoded"].items() if s}
    told = [f"{question} {s['value']:.0%}" for question, s in shares.items()]
    return f"questions it answers right of such pieces, by its card: {', '.join(told)}."


def _card() -> dict[str, Any]:
    return json.loads(assets.EVALUATORS_CARD.read_text(encoding="utf-8"))


def change_text(found: Effect) -> str:
    return "–" if found.n < 2 else f"{found.change:+.0%} [{found.low:+.0%}, {found.high:+.0%}]"


def difference_text(found: Effect) -> str:
    return "–" if found.n < 2 else f"{found.change:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"
