"""Model card of a repository of steering vectors: README.md with the metadata that the hub reads."""

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tonearm.loading import HUB_ID
from tonearm.musicgen.variants import VARIANTS
from tonearm.steering.calibration import SignCalibration
from tonearm.steering.units import unit_named
from tonearm.steering.vector import SteeringVector

TAGS = ("activation-steering", "steering-vectors", "music-generation", "tonearm")
HASH_DIGITS = 12
SIGNS = ((1, "+"), (-1, "-"))
PLAIN_HEADINGS = ("file", "vector", "site", "method", "content hash")
KNOB_HEADINGS = ("steer with", "means", "range", "effect at ±1", "faulty takes", "n", "result")


@dataclass(frozen=True)
class Card:
    """Content of a model card.

    repository   owner/name
    files        vectors by file, then by name
    bundles      those of the files that are bundles
    base_models  hub ids of the checkpoints; empty where they are on no hub
    licence      identifier that the hub knows, in lower case
    tag          git tag of the files, where there is one
    """

    repository: str
    files: Mapping[str, Mapping[str, SteeringVector]]
    bundles: frozenset[str]
    base_models: Sequence[str]
    licence: str
    tag: str | None = None

    @property
    def checkpoints(self) -> list[tuple[str, str]]:
        """Name and fingerprint of every checkpoint."""
        infos = (vector.info for vectors in self.files.values() for vector in vectors.values())
        return list(dict.fromkeys((info.checkpoint, info.fingerprint) for info in infos))


def base_models_of(vectors: Iterable[SteeringVector]) -> list[str]:
    """Checkpoints of vectors that are repositories of the hub."""
    names = dict.fromkeys(vector.info.checkpoint for vector in vectors)
    return [name for name in names if HUB_ID.fullmatch(name)]


def licences_of(vectors: Iterable[SteeringVector]) -> list[str]:
    """Licences of the checkpoints of vectors, as far as they are known."""
    names = dict.fromkeys(vector.info.checkpoint for vector in vectors)
    known = (VARIANTS[name].licence.lower() for name in names if name in VARIANTS)
    return list(dict.fromkeys(known))


def card_text(card: Card) -> str:
    """Return the README.md of a repository."""
    parts = [
        _front_matter(card),
        f"# {card.repository.split('/')[-1]}",
        _summary(card),
        "## Use",
        _usage(card),
        "## Knobs",
        "An amount of ±1 is calibrated per vector and sign: the largest strength within the damage "
        "limits. A sign that fails takes strengths (`raw:`) alone.",
        _table(KNOB_HEADINGS, _knob_rows(card)),
        "## Files",
        _table(PLAIN_HEADINGS, _file_rows(card)),
        "## Licence",
        _licence_note(card),
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(card: Card) -> str:
    """YAML, in which texts of JSON are valid."""
    lines = ["---", f"license: {json.dumps(card.licence)}"]
    if card.base_models:
        lines.append("base_model:")
        lines += [f"- {json.dumps(name)}" for name in card.base_models]
        lines.append("base_model_relation: adapter")
    lines += ["library_name: tonearm", "pipeline_tag: text-to-audio", "tags:"]
    return "\n".join([*lines, *(f"- {tag}" for tag in TAGS), "---"])


def _summary(card: Card) -> str:
    made_for = ", ".join(
        f"{_cell(name)} (fingerprint `{fingerprint}`)" for name, fingerprint in card.checkpoints
    )
    return (
        f"Steering vectors for {made_for}, made with Tonearm.\n"
        "A vector belongs to the weights that it was made for, and is refused by others."
    )


def _usage(card: Card) -> str:
    """Commands that pull the files and steer by the first vector."""
    source = f"{card.repository}@{card.tag}" if card.tag else card.repository
    file, vectors = next(iter(card.files.items()))
    name, vector = next(iter(vectors.items()))
    reference = f"{file}#{name}" if file in card.bundles else file
    steer = f"{reference}={_example(vector)}"
    model = vector.info.checkpoint
    pulled = shlex.join(["tonearm", "vectors", "pull", source])
    steered = ["tonearm", "generate", "a folk tune with flute", "--model", model, "--steer", steer]
    return "\n".join(["```bash", pulled, shlex.join(steered), "```"])


def _example(vector: SteeringVector) -> str:
    """An amount of a sign that passes, or a strength where none does."""
    calibration = vector.info.calibration
    passing = [sign for sign, _ in SIGNS if calibration and calibration.of(sign).strength]
    return f"{passing[0]:+d}" if passing else "raw:1"


def _knob_rows(card: Card) -> Iterable[Sequence[str]]:
    for file, vectors in card.files.items():
        for name, vector in vectors.items():
            steer = f"{file}#{name}" if file in card.bundles else file
            info = vector.info
            for (sign, symbol), label in zip(
                SIGNS, (info.positive_label, info.negative_label), strict=True
            ):
                found = info.calibration.of(sign) if info.calibration else None
                yield (f"`{steer}={symbol}1`", label, *_sign_cells(found, sign))


def _sign_cells(found: SignCalibration | None, sign: int) -> Sequence[str]:
    """Range, effect, faults, n and result of a sign."""
    if found is None:
        return ("", "", "", "", "not calibrated")
    if found.strength is None:
        return ("", "", "", "", f"fails: {found.failure}")
    how = found.configuration
    strength = f"raw:{sign * found.strength:+g}"
    scope = f"0 to {sign:+d} ({strength}, {how.operator}, {how.strategy})"
    if response := found.response:
        highest = unit_named(response.unit).text(response.limit)
        scope = f"{response.measure} by up to {highest}: {scope}"
    evidence = found.evidence
    if evidence is None:
        return (scope, "", "", "", "not measured")
    faults = f"{evidence.faulty_steered:.0%} ({evidence.faulty_plain:.0%} plain)"
    effect = f"{evidence.measure} {evidence.interval}"
    return (scope, effect, faults, str(evidence.prompts), "passes")


def _file_rows(card: Card) -> Iterable[Sequence[str]]:
    for file, vectors in card.files.items():
        for name, vector in vectors.items():
            content = f"`{vector.content_hash()[:HASH_DIGITS]}`"
            yield (file, name, vector.info.site, vector.info.method, content)


def _licence_note(card: Card) -> str:
    known = [
        f"{_cell(name)}: {VARIANTS[name].licence}"
        for name, _ in card.checkpoints
        if name in VARIANTS
    ]
    weights = f" The weights are licensed separately ({'; '.join(known)})." if known else ""
    return (
        f"The vectors are licensed {card.licence}. They were computed from the activations of the "
        f"checkpoint, and do nothing without its weights.{weights}"
    )


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    """A text in a Markdown table, in one line and without markup of its own."""
    kept = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return kept.replace("|", "\\|").replace("<", "&lt;")
