"""Plan of the gallery: prompts, seeds and takes of every vector and sign, by a fixed rule.

Vector i, in alphabetical order, has the first held-out prompt from number i on that names none of
its poles and no earlier section has, and the seed FIRST_SEED + i; fusions follow with the next
numbers.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.measures import measure_spectral_centroid
from tonearm.processing import high_shelf
from tonearm.report.page_parts import typeset
from tonearm.steering import Evidence, Steer, Steering, SteeringVector
from tonearm.studies.effects_conditions import with_word
from tonearm.studies.effects_processing import gain_for_centroid, time_stretch

AMOUNTS = {"1/3": 1 / 3, "2/3": 2 / 3, "1": 1.0}
SIGNS = {1: "+", -1: "−"}
FIRST_SEED = 9000
FAST_AND_DARK = (("tempo", 1), ("brightness", -1))
# the first of them whose signs all pass is the second fusion
OTHER_FUSIONS = (
    (("energy", 1), ("flute", 1)),
    (("jazz", 1), ("tempo", 1)),
    (("classical", 1), ("tempo", -1)),
    (("density", 1), ("brightness", 1)),
    (("tempo", -1), ("brightness", 1)),
)
STRETCHED = ("tempo", "bundled_tempo", "onset_rate")  # measures that a time stretch moves
FILTERED = ("spectral_centroid",)  # measures that a shelving filter moves


Process = Callable[[Clip], tuple[Clip, str]]  # of the plain take; the text says how


@dataclass(frozen=True)
class PlannedTake:
    """A take to be generated, or, with `process`, made of the plain take of its section."""

    stem: str
    kind: str
    title: str
    origin: str
    text: str
    steering: Steering = field(default_factory=Steering)
    process: Process | None = None


@dataclass(frozen=True)
class PlannedSection:
    """Takes of one prompt and seed; `groups` maps a title to the takes of a sign or fusion."""

    name: str
    title: str
    prompt: str
    seed: int
    measures: tuple[str, ...]  # of the attributes
    plain: PlannedTake
    groups: Mapping[str, tuple[PlannedTake, ...]]
    failures: tuple[str, ...] = ()

    @property
    def takes(self) -> tuple[PlannedTake, ...]:
        return self.plain, *(take for group in self.groups.values() for take in group)


def plan(vectors: Mapping[str, SteeringVector], texts: Sequence[str]) -> list[PlannedSection]:
    """Plan the takes of all vectors with a sign that passes, and of the fusions.

    Args:
        vectors: by name.
        texts: prompts.

    Raises:
        TonearmError: no sign passed a calibration, or too few prompts.
    """
    names = sorted(vectors)
    fusions = [FAST_AND_DARK] if _passes(vectors, FAST_AND_DARK) else []
    fusions += [one for one in OTHER_FUSIONS if _passes(vectors, one)][:1]
    if len(texts) < len(names) + len(fusions):
        raise TonearmError(
            f"{len(texts)} prompts are too few for {len(names)} vectors and {len(fusions)} "
            "fusions; give one for each"
        )
    sections, used = [], set[str]()
    for index, name in enumerate(names):
        vector = vectors[name]
        passing = [sign for sign in SIGNS if failure(vector, sign) == ""]
        if not passing:
            continue
        prompt = neutral_prompt(texts, index, (vector,), used)
        used.add(prompt)
        sections.append(
            PlannedSection(
                name=name,
                title=name,
                prompt=prompt,
                seed=FIRST_SEED + index,
                measures=tuple(
                    dict.fromkeys(evidence_of(vector, sign).measure for sign in passing)
                ),
                plain=_plain(name, prompt),
                groups={
                    f"{name} {SIGNS[sign]}, {pole(vector, sign)}": tuple(
                        _of_sign(name, vector, sign, prompt)
                    )
                    for sign in passing
                },
                failures=tuple(
                    f"{name} {SIGNS[sign]} ({pole(vector, sign)}) fails: {reason}."
                    for sign in SIGNS
                    if (reason := failure(vector, sign))
                ),
            )
        )
    if not sections:
        raise TonearmError(
            "no vector has a sign that passed its calibration; run `tonearm calibrate` first"
        )
    for index, fusion in enumerate(fusions, start=len(names)):
        prompt = neutral_prompt(texts, index, [vectors[name] for name, _ in fusion], used)
        used.add(prompt)
        sections.append(_fusion(fusion, vectors, prompt, FIRST_SEED + index))
    return sections


def failure(vector: SteeringVector, sign: int) -> str:
    """Reason why a sign has no takes in the gallery; "" where it passed."""
    calibration = vector.info.calibration
    if calibration is None:
        return "the vector is not calibrated"
    found = calibration.of(sign)
    if found.failure:
        return found.failure
    return "" if found.evidence else "its calibration has no evidence"


def pole(vector: SteeringVector, sign: int) -> str:
    """Label of the pole that a sign steers to."""
    return vector.info.positive_label if sign > 0 else vector.info.negative_label


def word_of(vector: SteeringVector, sign: int) -> str:
    """The word for a prompt; "" for a pole such as "other genres", which is no word for music."""
    label = pole(vector, sign)
    return "" if label.startswith("other ") else label


def neutral_prompt(
    texts: Sequence[str],
    index: int,
    vectors: Sequence[SteeringVector],
    used: Collection[str] = (),
) -> str:
    """Choose the prompt of a section: the first from `index` on that fits, cyclically.

    Args:
        texts: prompts.
        index: of the first candidate.
        vectors: no word of whose poles the prompt may name, unless all prompts do.
        used: prompts of other sections, which are passed over.
    """
    words = [word_of(vector, sign).lower() for vector in vectors for sign in SIGNS]
    candidates = [text for text in [*texts[index:], *texts[:index]] if text not in used]
    for text in candidates:
        if not any(word and re.search(rf"\b{re.escape(word)}\b", text.lower()) for word in words):
            return text
    return candidates[0]


def _passes(vectors: Mapping[str, SteeringVector], fusion: Sequence[tuple[str, int]]) -> bool:
    return all(name in vectors and not failure(vectors[name], sign) for name, sign in fusion)


def _plain(section: str, prompt: str) -> PlannedTake:
    return PlannedTake(f"{slug_of(section)}-plain", "plain", "plain", "no steering", prompt)


def _of_sign(name: str, vector: SteeringVector, sign: int, prompt: str) -> Iterator[PlannedTake]:
    """Takes of one sign: three amounts, the word, and the baseline."""
    stem = anchor_of(name, sign)
    yield from _amounts(stem, ((name, sign),), prompt)
    if word := word_of(vector, sign):
        yield _word(stem, prompt, word)
    if process := _baseline(evidence_of(vector, sign)):
        yield PlannedTake(
            f"{stem}-processed", "baseline", "signal processing", "", prompt, process=process
        )


def _fusion(
    fusion: Sequence[tuple[str, int]],
    vectors: Mapping[str, SteeringVector],
    prompt: str,
    seed: int,
) -> PlannedSection:
    title = " and ".join(f"{name} {SIGNS[sign]}" for name, sign in fusion)
    stem = "-".join(anchor_of(name, sign) for name, sign in fusion)
    words = [word for name, sign in fusion if (word := word_of(vectors[name], sign))]
    takes = [*_amounts(stem, fusion, prompt), _word(stem, prompt, " ".join(words))]
    measures = (evidence_of(vectors[name], sign).measure for name, sign in fusion)
    return PlannedSection(
        name=stem,
        title=f"fusion: {title}",
        prompt=prompt,
        seed=seed,
        measures=tuple(dict.fromkeys(measures)),
        plain=_plain(stem, prompt),
        groups={title: tuple(takes)},
    )


def _amounts(stem: str, signs: Sequence[tuple[str, int]], prompt: str) -> Iterator[PlannedTake]:
    for number, (label, amount) in enumerate(AMOUNTS.items(), start=1):
        steers = tuple(Steer(vector=name, amount=sign * amount) for name, sign in signs)
        yield PlannedTake(
            stem=f"{stem}-{number}",
            kind="steered",
            title=", ".join(f"{name} {SIGNS[sign]}{label}" for name, sign in signs),
            origin="the same prompt, steered",
            text=prompt,
            steering=Steering(steers=steers),
        )


def _word(stem: str, prompt: str, word: str) -> PlannedTake:
    text = with_word(prompt, word)
    return PlannedTake(
        f"{stem}-word", "baseline", f"word “{word}”", f"no steering; prompt “{text}”", text
    )


def _baseline(evidence: Evidence) -> Process | None:
    """Signal processing with the mean effect of amount 1."""
    ratio = 1 + evidence.effect
    if evidence.measure in STRETCHED:
        return lambda plain: (
            time_stretch(plain, ratio),
            f"the plain take stretched in time by a phase vocoder to {ratio:.2f} of its tempo",
        )
    if evidence.measure in FILTERED:
        return lambda plain: _filtered(plain, ratio)
    return None


def _filtered(plain: Clip, ratio: float) -> tuple[Clip, str]:
    centroid = measure_spectral_centroid(plain).number
    if centroid is None:
        return plain, "the plain take, which has no spectral centroid to be moved"
    gain = gain_for_centroid([plain], ratio * centroid)
    return high_shelf(plain, gain), (
        f"the plain take through a shelving filter of {typeset(f'{gain:+.1f}')} dB, "
        f"set for {ratio:.2f} of its centroid"
    )


def evidence_of(vector: SteeringVector, sign: int) -> Evidence:
    """Evidence of a sign that passed its calibration."""
    calibration = vector.info.calibration
    assert calibration is not None
    evidence = calibration.of(sign).evidence
    assert evidence is not None  # the sign passed
    return evidence


def slug_of(name: str) -> str:
    """Name of a vector for files and anchors."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "vector"


def anchor_of(name: str, sign: int) -> str:
    """Anchor of the takes of one sign, and the start of the names of their files."""
    return f"{slug_of(name)}-{'plus' if sign > 0 else 'minus'}"
