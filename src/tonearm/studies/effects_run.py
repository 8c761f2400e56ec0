"""The effects study as trials: takes of every condition, and unsteered takes that are processed."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

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
from tonearm.studies.measure_groups import ALL_GROUPS, with_groups_of
from tonearm.studies.plan import Found, Processing, Study, Trial
from tonearm.studies.processing import matched_shelf, matched_stretch
from tonearm.studies.records import Record, records_of
from tonearm.studies.run import Settings, run
from tonearm.studies.steered_takes import Prompts
from tonearm.studies.store import Store

log = logging.getLogger(__name__)

NAME = "effects"


def condition_names(vectors: Vectors) -> list[str]:
    """List the names of all conditions for vectors."""
    generated = (*conditions(vectors), *references(), *random_conditions(vectors))
    processed = [processing_name(attribute, sign) for attribute in ATTRIBUTES for sign in SIGNS]
    return [*(condition.name for condition in generated), *processed]


def groups_of(vectors: Vectors) -> tuple[str, ...]:
    """Groups of measures that the study takes: all, and those of the vectors' calibrations."""
    calibrations = [one.info.calibration for one in vectors.values()]
    signs = [sign for one in calibrations if one for sign in (one.positive, one.negative)]
    return with_groups_of(ALL_GROUPS, [one.evidence.measure for one in signs if one.evidence])


def effects_study(
    vectors: Vectors, texts: Sequence[str], seconds: float, only: Sequence[str] | None = None
) -> Study:
    """The study of some prompts.

    Args:
        vectors: by name, "tempo" and "brightness" calibrated.
        texts: prompts.
        seconds: of each take.
        only: names of conditions; by default all.
    """
    prompts = Prompts(tuple(texts), FIRST_SEED, seconds, groups_of(vectors))
    used = vectors_fingerprint(vectors)

    def generated(found: Found) -> list[Trial]:
        return [
            _with_facts(trial, vectors=used)
            for one in (*conditions(vectors), *references(), *random_conditions(vectors))
            if not only or one.name in only
            for trial in prompts.trials(one.setting(prompts.texts))
        ]

    def processed(found: Found) -> list[Trial]:
        return [
            _with_facts(trial, vectors=used)
            for attribute in ATTRIBUTES
            for sign in SIGNS
            if not only or processing_name(attribute, sign) in only
            for trial in _processed(attribute, sign, found, prompts)
        ]

    return Study(
        NAME,
        {"generated": generated, "processed": processed},
        {**vectors, **random_controls(vectors)},
        {"prompts": len(texts), "seconds": seconds, "vectors": used},
    )


def run_effects(
    model: Model,
    texts: Sequence[str],
    seconds: float,
    folder: Path,
    only: Sequence[str] | None = None,
    settings: Settings = Settings(),
) -> list[Record]:
    """Make and measure the takes that a store lacks.

    Args:
        model: with calibrated vectors "tempo" and "brightness".
        texts: prompts.
        seconds: of each take.
        folder: of the store.
        only: names of conditions; by default all.
        settings: of the run.

    Returns:
        The records, those of no steering first, each with the `fingerprints` of what made and
        measured it.
    """
    study = effects_study(dict(model.vectors), texts, seconds, only)
    with Store(folder) as store:
        records = run(study, model, store, settings)
        fingerprints = [
            f"checkpoint {model.shape.fingerprint} on {model.checkpoint.device.type}, "
            f"{model.checkpoint.precision}",
            vectors_fingerprint(dict(model.vectors)),
            *(store.fingerprints(NAME)[group] for group in groups_of(model.vectors)),
        ]
    return [{**record, "fingerprints": "; ".join(fingerprints)} for record in records]


def _with_facts(trial: Trial, **facts: str) -> Trial:
    return replace(trial, facts={**trial.facts, **facts})


def _processed(attribute: str, sign: str, found: Found, prompts: Prompts) -> list[Trial]:
    """Plan the unsteered takes processed to the effect of an amount; none without that amount."""
    steered = records_of(found.records, amount_name(attribute, sign))
    plain = records_of(found.records, PLAIN.name)
    name = processing_name(attribute, sign)
    if not steered or not plain:
        log.info("%s: no takes of the amount that it is matched to", name)
        return []
    processing: Processing | None
    if attribute == "brightness":
        processing = matched_shelf(plain, steered, found)
    else:
        processing = matched_stretch(plain, steered)
    if processing is None:
        raise TonearmError(
            f"{name}: no onsets in the takes of {amount_name(attribute, sign)} or without "
            "steering, so that no rate can be matched; leave the condition out with --only"
        )
    return [
        replace(
            trial,
            facts={**trial.facts, "setting": name, "processing": dict(processing.parameters)},
            processing=processing,
        )
        for trial in prompts.trials(PLAIN.setting(prompts.texts))
    ]


def vectors_fingerprint(vectors: Vectors) -> str:
    """Identify vectors by their directions, best layers and calibrations."""
    texts = []
    for name in sorted(vectors):
        info = vectors[name].info
        calibration = info.calibration.amounts_json() if info.calibration else ""
        texts.append(f"{name} {vectors[name].content_hash()} {info.best_layer} {calibration}")
    return f"vectors {hash_texts(texts)[:8]}"
