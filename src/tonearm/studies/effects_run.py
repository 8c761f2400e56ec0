"""Takes of the effects study: generated, processed, measured; a stopped study resumes."""

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.hashing import hash_texts
from tonearm.model import Model
from tonearm.studies.effects_conditions import (
    ATTRIBUTES,
    FIRST_SEED,
    PLAIN,
    SIGNS,
    Vectors,
    amount_name,
    conditions,
    processing_name,
    random_conditions,
    random_controls,
    references,
)
from tonearm.studies.effects_measures import (
    MeasureRequest,
    evaluators_fingerprint,
    load_evaluators,
    measures_fingerprint,
)
from tonearm.studies.effects_processing import gain_for_centroid, high_shelf, time_stretch
from tonearm.studies.steered_takes import Prompts, Setting, kept_file, run_settings
from tonearm.studies.take_records import (
    PlannedTake,
    Record,
    complete_records,
    read_records,
    records_of,
    values_of,
)

log = logging.getLogger(__name__)

STORE = "takes.jsonl"


def condition_names(vectors: Vectors) -> list[str]:
    """List the names of all conditions for vectors."""
    generated = (*conditions(vectors), *references(), *random_conditions(vectors))
    processed = [processing_name(attribute, sign) for attribute in ATTRIBUTES for sign in SIGNS]
    return [*(condition.name for condition in generated), *processed]


def run(
    model: Model,
    texts: Sequence[str],
    seconds: float,
    out: Path,
    only: Sequence[str] | None = None,
    *,
    batch_size: int = 25,
    workers: int = 0,
    keep: Path | None = None,
) -> list[Record]:
    """Make and measure the takes that `out`/takes.jsonl lacks.

    Args:
        model: with calibrated vectors "tempo" and "brightness".
        texts: prompts.
        seconds: of each take.
        out: folder of the records, and of the unsteered takes' audio.
        only: names of conditions; by default all.
        batch_size: takes per batch.
        workers: processes that measure; 0 for this one.
        keep: folder of all takes' audio; a take in it is not generated again.

    Returns:
        All records, including those that were present.

    Raises:
        TonearmError: the records present have another protocol.
    """
    vectors = dict(model.vectors)
    prompts = Prompts(tuple(texts), FIRST_SEED, seconds)
    generation = _generation_protocol(model, prompts)
    evaluators = evaluators_fingerprint(load_evaluators())
    protocol = f"{generation} {evaluators} {measures_fingerprint()}"
    store = out / STORE
    digest = hashlib.sha256(generation.encode()).hexdigest()[:16]
    plain_folder = (keep or out / "audio") / digest
    controls = random_controls(vectors)

    def generate(settings: Sequence[Setting], folder: Path | None) -> None:
        run_settings(
            model,
            settings,
            prompts,
            controls,
            store,
            protocol,
            batch_size=batch_size,
            workers=workers,
            keep=folder,
        )

    planned = [
        condition.setting(prompts.texts)
        for condition in (*conditions(vectors), *references(), *random_conditions(vectors))
        if not only or condition.name in only
    ]
    generate([one for one in planned if one.name == PLAIN.name], plain_folder)
    generate([one for one in planned if one.name != PLAIN.name], keep and keep / digest)
    for attribute in ATTRIBUTES:
        for sign in SIGNS:
            name = processing_name(attribute, sign)
            if not only or name in only:
                takes, make = _processed(attribute, sign, store, prompts, plain_folder)
                complete_records(
                    takes, make, store, protocol, batch_size=batch_size, workers=workers
                )
    return list(read_records(store))


Make = Callable[[Sequence[PlannedTake]], list[MeasureRequest]]


def _processed(
    attribute: str, sign: str, store: Path, prompts: Prompts, folder: Path
) -> tuple[list[PlannedTake], Make]:
    """Plan the unsteered takes processed to the effect of an amount; none without that amount."""
    records = list(read_records(store))
    steered = records_of(records, amount_name(attribute, sign))
    name = processing_name(attribute, sign)
    plain = records_of(records, PLAIN.name)
    clips = {
        record["prompt"]: Clip.read(kept_file(folder, PLAIN.name, record["prompt"]))
        for record in plain
        if steered
    }
    if not clips:
        log.info("%s: no takes of the amount that it is matched to", name)
    if len(clips) == len(records_of(records, name)):
        return [], lambda batch: []
    facts: Mapping[str, Any]
    process: Callable[[Clip], Clip]
    if attribute == "brightness":
        gain = round(
            gain_for_centroid(list(clips.values()), _mean(steered, "spectral_centroid")), 2
        )
        facts, process = {"gain": gain}, lambda clip: high_shelf(clip, gain)
    else:
        rates = [_mean(takes, "onset_rate") for takes in (steered, plain)]
        if not all(rates):
            raise TonearmError(
                f"{name}: no onsets in the takes of {amount_name(attribute, sign)} or without "
                "steering, so that no rate can be matched; leave the condition out with --only"
            )
        rate = round(rates[0] / rates[1], 3)
        facts, process = {"rate": rate}, lambda clip: time_stretch(clip, rate)

    def make(batch: Sequence[PlannedTake]) -> list[MeasureRequest]:
        return [prompts.request(take.prompt, process(clips[take.prompt])) for take in batch]

    return [PlannedTake(name, i, FIRST_SEED + i, {"processing": facts}) for i in clips], make


def _mean(records: Sequence[Record], measure: str) -> float:
    return fmean(value for value in values_of(records, measure) if value is not None)


def vectors_fingerprint(vectors: Vectors) -> str:
    """Identify vectors by their directions, best layers and calibrations."""
    texts = []
    for name in sorted(vectors):
        info = vectors[name].info
        calibration = info.calibration.model_dump_json() if info.calibration else ""
        texts.append(f"{name} {vectors[name].content_hash()} {info.best_layer} {calibration}")
    return f"vectors {hash_texts(texts)[:8]}"


def _generation_protocol(model: Model, prompts: Prompts) -> str:
    """Identify weights, device, precision, sampling, vectors, prompts and length."""
    own = model.sampling()
    sampling = f"guidance {own.guidance:g} temperature {own.temperature:g} top-k {own.top_k}"
    hardware = f"{model.checkpoint.device.type} {model.checkpoint.precision}"
    return (
        f"{model.shape.fingerprint} {hardware} {sampling} {vectors_fingerprint(model.vectors)} "
        f"prompts {hash_texts(prompts.texts)[:8]} {prompts.seconds:g} s"
    )
