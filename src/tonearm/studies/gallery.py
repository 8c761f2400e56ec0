"""Gallery of takes: every calibrated vector and sign beside plain takes and the usual means.

    python -m tonearm.studies.gallery --out docs/gallery

For vector i, in alphabetical order, one held-out prompt: the first from number i on that does not
name one of the vector's poles and is not another section's; and one seed, FIRST_SEED + i. With both, the plain take; for each
sign that passed its calibration three amounts; the take of the prompt with the word of that pole
in it; and, where signal processing has the same effect, the plain take processed: stretched in time
for a measure of rate, through a shelving filter for the spectral centroid, by the mean effect of amount
1. Two fusions follow. No take is replaced, whatever its faults.

`manifest.json` beside the page records checkpoint, vectors, requests and measured values.
"""

import argparse
import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import torch

from tonearm.audio import Clip
from tonearm.datasets import prompts
from tonearm.files.atomic_folder import atomic_folder
from tonearm.generation.request import TakeRequest
from tonearm.model import Model, load
from tonearm.report.gallery_page import (
    AUDIO,
    IMAGE,
    PAGE,
    Figure,
    Gallery,
    GalleryGroup,
    GallerySection,
    GalleryTake,
    SignRow,
    write_gallery_page,
)
from tonearm.report.page_parts import number_cell, typeset
from tonearm.steering import Evidence, SignCalibration, SteeringVector
from tonearm.studies.calibration import reader
from tonearm.studies.gallery_plan import (
    FAST_AND_DARK,
    FIRST_SEED,
    SIGNS,
    PlannedSection,
    PlannedTake,
    anchor_of,
    failure,
    plan,
    pole,
    slug_of,
)
from tonearm.studies.measure_groups import ALL_GROUPS, with_groups_of
from tonearm.studies.measuring import Job, measuring
from tonearm.studies.records import Record

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
BATCH = 48


@dataclass(frozen=True)
class Number:
    """A measure on the cards: `difference_unit` None for differences in per cent."""

    heading: str
    unit: str
    decimals: int
    difference_unit: str | None = None


NUMBERS = {
    "tempo": Number("Tempo", "BPM", 0),
    "onset_rate": Number("Onsets", "per s", 2),
    "spectral_centroid": Number("Spectral centroid", "Hz", 0),
    "pulse_clarity": Number("Pulse clarity", "", 2),
}
OTHERS = {
    "bundled_tempo": Number("Tempo, bundled tracker", "BPM", 0),
    "loudness": Number("Loudness", "LUFS", 1, "LU"),
    "onset_rate_superflux": Number("Onsets, SuperFlux", "per s", 2),
    "high_onset_level": Number("Onsets above 4 kHz", "dB", 1, "dB"),
}
GROUPS = with_groups_of(ALL_GROUPS, OTHERS)


def build(
    model: Model,
    vectors: Mapping[str, SteeringVector],
    texts: Sequence[str],
    folder: Path,
    *,
    seconds: float = 10.0,
    workers: int = 0,
) -> Path:
    """Generate and measure the takes, and write the page.

    Args:
        model: the checkpoint of the vectors.
        vectors: by name.
        texts: prompts, as many as there are vectors and fusions or more.
        folder: of the page; an earlier gallery in it is replaced, and other files are kept.
        seconds: of each take; faults of music need 5 or more, and their limits 10.
        workers: processes that measure; 0 for this one.

    Returns:
        The path of the page.

    Raises:
        TonearmError: no sign passed a calibration, too few prompts, or the folder cannot be
            written.
    """
    sections = plan(vectors, texts)
    clips = _generate(model, vectors, sections, seconds)
    records = _measure(sections, clips, workers)
    shown = [_section(section, clips[section.name], records[section.name]) for section in sections]
    first = records[sections[0].name][sections[0].plain.stem]
    gallery = Gallery(
        details=_details(model, sections, seconds),
        protocol=_protocol(vectors, seconds),
        signs=sign_rows(vectors),
        sections=shown,
        measures=_protocols(first),
    )
    manifest = _manifest(model, vectors, sections, records, seconds)
    with atomic_folder(folder, PAGE, _is_of_gallery) as temporary:
        text = json.dumps(manifest, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        (temporary / MANIFEST).write_text(text, encoding="utf-8")
        write_gallery_page(temporary, gallery)
    return folder / PAGE


def sign_rows(vectors: Mapping[str, SteeringVector]) -> list[SignRow]:
    """List every sign of every vector, with its evidence or the reason of its failure."""
    rows = []
    for name in sorted(vectors):
        calibration = vectors[name].info.calibration
        for sign in SIGNS:
            found = SignCalibration(failure="-") if calibration is None else calibration.of(sign)
            rows.append(
                SignRow(
                    sign=f"{name} {SIGNS[sign]} ({pole(vectors[name], sign)})",
                    effect=_effect_text(found.evidence),
                    faulty=_share_text(found.evidence),
                    pulse=""
                    if found.evidence is None
                    else f"{found.evidence.pulse_ratio:.2f} of plain",
                    anchor=anchor_of(name, sign),
                    failure=failure(vectors[name], sign),
                )
            )
    return rows


def vector_identity(vector: SteeringVector) -> dict[str, str]:
    """Hashes of a vector and of its calibration, as the manifest records them."""
    calibration = vector.info.calibration
    text = "" if calibration is None else calibration.amounts_json()
    return {
        "content": vector.content_hash(),
        "calibration": hashlib.sha256(text.encode()).hexdigest(),
    }


def _generate(
    model: Model,
    vectors: Mapping[str, SteeringVector],
    sections: Sequence[PlannedSection],
    seconds: float,
) -> dict[str, dict[str, tuple[Clip, str]]]:
    """Generate and process the takes: section -> stem -> clip and origin."""
    asked = [(section, take) for section in sections for take in section.takes if not take.process]
    requests = [
        TakeRequest(take.text, section.seed, take.steering, seconds=seconds)
        for section, take in asked
    ]
    clips: dict[str, dict[str, tuple[Clip, str]]] = {section.name: {} for section in sections}
    made = model.generate_batch(requests, vectors=vectors, batch_size=min(BATCH, len(requests)))
    for number, ((section, planned), take) in enumerate(zip(asked, made, strict=True), start=1):
        clips[section.name][planned.stem] = (take.clip, planned.origin)
        if number % BATCH == 0 or number == len(asked):
            log.info("generated %d of %d takes", number, len(asked))
    for section in sections:
        plain, _ = clips[section.name][section.plain.stem]
        for planned in section.takes:
            if planned.process:
                clips[section.name][planned.stem] = planned.process(plain)
    return clips


def _measure(
    sections: Sequence[PlannedSection],
    clips: Mapping[str, Mapping[str, tuple[Clip, str]]],
    workers: int,
) -> dict[str, dict[str, Record]]:
    """Measure the takes of every section, by its name and the take's."""
    jobs = [
        Job(
            f"{section.name}/{take.stem}",
            clips[section.name][take.stem][0],
            {"text": section.prompt, "other_text": section.prompt},
            GROUPS,
        )
        for section in sections
        for take in section.takes
    ]
    records: dict[str, dict[str, dict[str, Any]]] = {section.name: {} for section in sections}
    with measuring(workers) as measure:
        for values in chain(measure.add(jobs), measure.finish()):
            for one in values:
                section, stem = one.key.split("/")
                records[section].setdefault(stem, {}).update(one.record)
            log.info("measured %d takes", sum(map(len, records.values())))
    return {name: dict(takes) for name, takes in records.items()}


def _section(
    section: PlannedSection,
    clips: Mapping[str, tuple[Clip, str]],
    records: Mapping[str, Record],
) -> GallerySection:
    def shown(take: PlannedTake) -> GalleryTake:
        clip, origin = clips[take.stem]
        record = records[take.stem]
        return GalleryTake(
            stem=take.stem,
            kind=take.kind,
            title=take.title,
            label=f"{section.title}: {take.title}",
            origin=origin,
            clip=clip,
            figures=figures(record, records[section.plain.stem], section.measures),
            faults=tuple(record["faults"]),
        )

    groups = []
    for title, takes in section.groups.items():
        anchor = takes[0].stem.removesuffix("-1")
        cards = tuple(replace(shown(take), label=f"{title}: {take.title}") for take in takes)
        groups.append(GalleryGroup(anchor, title, cards))
    return GallerySection(
        anchor=f"section-{slug_of(section.name)}",
        title=section.title,
        prompt=section.prompt,
        seed=section.seed,
        plain=shown(section.plain),
        groups=tuple(groups),
        failures=section.failures,
    )


def figures(record: Record, plain: Record, own: Sequence[str]) -> tuple[Figure, ...]:
    """Values of a take, those of the attributes first, with differences from the plain take.

    Args:
        record: of the take, by all groups of measures.
        plain: likewise, of the plain take.
        own: measures of the attributes, as in a calibration.
    """
    found = []
    for measure in dict.fromkeys([*own, *NUMBERS]):
        number, read = number_of(measure), reader(measure)
        cell = number_cell(
            read(record),
            read(plain),
            number.decimals,
            is_reference=record is plain,
            difference_unit=number.difference_unit,
        )
        found.append(Figure(number.heading, number.unit, cell, measure in own))
    return tuple(found)


def number_of(measure: str) -> Number:
    """Heading and format of a measure of a calibration."""
    kind, _, name = measure.partition(":")
    if name:
        heading = f"musicnn tag “{name}”" if kind == "tag" else f"CLAP score, “{name}”"
        return Number(heading, "", 2, "")
    return (NUMBERS | OTHERS)[measure]


def _effect_text(evidence: Evidence | None) -> str:
    if evidence is None:
        return ""
    heading = number_of(evidence.measure).heading
    values = (evidence.effect, evidence.low, evidence.high)
    if evidence.is_relative:
        change, low, high = (f"{100 * value:+.0f}" for value in values)
        text = f"{heading} {change} % [{low}, {high}]"
    else:
        decimals = 1 if evidence.measure == "loudness" else 3
        change, low, high = (f"{value:+.{decimals}f}" for value in values)
        text = f"{heading} {change} [{low}, {high}]"
    return f"{typeset(text)}, n = {evidence.prompts}"


def _share_text(evidence: Evidence | None) -> str:
    if evidence is None:
        return ""
    return f"{evidence.faulty_steered:.0%} (plain {evidence.faulty_plain:.0%})".replace("%", " %")


def _details(model: Model, sections: Sequence[PlannedSection], seconds: float) -> dict[str, str]:
    sampling = model.sampling()
    return {
        "checkpoint": f"{model.shape.public_name}, fingerprint {model.shape.fingerprint}",
        "decoded on": f"{model.checkpoint.device.type}, {model.checkpoint.precision}",
        "takes": f"{sum(len(section.takes) for section in sections)} of {seconds:g} s",
        "seeds": f"{sections[0].seed} to {sections[-1].seed}, one per section",
        "sampling": f"guidance {sampling.guidance:g}, temperature {sampling.temperature:g}, "
        f"top-k {sampling.top_k}",
        "licence": model.shape.licence,
    }


def _protocol(vectors: Mapping[str, SteeringVector], seconds: float) -> list[str]:
    sentences = [
        "No take was selected by listening: prompts and seeds follow from a fixed rule, and every "
        "take is shown as it came, faulty ones too.",
        f"Vector i of {len(vectors)}, in alphabetical order, has the first held-out prompt from "
        f"number i on that names none of its poles and no earlier vector has, and the seed {FIRST_SEED} + i, counted from 0; "
        "all takes of a section share both.",
        "Amount 1 is as far as the music stayed whole when the vector was calibrated, on other "
        "prompts; amounts are set per vector and sign.",
        "Beside each sign: the word of that pole in the prompt, without steering; and the plain "
        "take processed for the mean effect of amount 1, by a time stretch where the effect is "
        "measured as a rate, by a shelving filter where it is the spectral centroid.",
        "Values in bold are of the measure that calibrated the vector; small figures are "
        "differences from the plain take; a dash marks an undefined value, such as the tempo of a "
        "take whose beat was not found.",
    ]
    reasons = [
        f"{name} {SIGNS[sign]}"
        for name, sign in FAST_AND_DARK
        if name not in vectors or failure(vectors[name], sign)
    ]
    if reasons:
        sentences.append(f"The fusion of fast and dark is missing: {', '.join(reasons)} fails.")
    return sentences


def _protocols(record: Record) -> dict[str, str]:
    """Protocols of the measures by heading."""
    protocols: dict[str, str] = {
        number.heading: record[measure]["protocol"]
        for measure, number in (NUMBERS | OTHERS).items()
    }
    return protocols | {
        "musicnn tags": "probability by the bundled musicnn, trained on real music by its authors",
        "CLAP scores": f"cosine of take and text by {record['embedder']}",
    }


def _manifest(
    model: Model,
    vectors: Mapping[str, SteeringVector],
    sections: Sequence[PlannedSection],
    records: Mapping[str, Mapping[str, Record]],
    seconds: float,
) -> dict[str, Any]:
    takes = [
        {
            "file": take.stem + AUDIO,
            "section": section.title,
            "title": take.title,
            "prompt": take.text,
            "seed": section.seed,
            "steering": take.steering.model_dump(mode="json", exclude_defaults=True),
            "values": {
                measure: reader(measure)(record)
                for measure in dict.fromkeys([*section.measures, *NUMBERS])
            },
            "faults": record["faults"],
        }
        for section in sections
        for take in section.takes
        for record in [records[section.name][take.stem]]
    ]
    return {
        "checkpoint": model.shape.public_name,
        "fingerprint": model.shape.fingerprint,
        "vectors": {name: vector_identity(vectors[name]) for name in sorted(vectors)},
        "seconds": seconds,
        "takes": takes,
    }


def _is_of_gallery(name: str) -> bool:
    return name == MANIFEST or ("/" not in name and name.endswith((AUDIO, IMAGE)))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("docs/gallery"))
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--device", help="cpu, cuda ...; default: the best available")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--vectors", nargs="+", metavar="NAME", help="default: all bundled ones")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--threads", type=int, default=2, help="of generation")
    parser.add_argument("--workers", type=int, default=0, help="processes that measure")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(arguments.threads)
    model = load(arguments.model, device=arguments.device, dtype=arguments.dtype)
    names = arguments.vectors or sorted(model.shape.vectors)
    vectors = {name: model.vectors[name] for name in names}
    page = build(
        model,
        vectors,
        prompts.held_out(),
        arguments.out,
        seconds=arguments.seconds,
        workers=arguments.workers,
    )
    files = [path for path in page.parent.iterdir() if path.is_file()]
    log.info("%s: %d files, %.1f MB", page, len(files), sum(f.stat().st_size for f in files) / 1e6)


if __name__ == "__main__":
    main()
