"""Takes of prompts under several steerings, measured and stored as they complete.

A store is a file of JSON Lines, one record per take. A run that was stopped continues with the
takes that are missing; records of another protocol are refused.
"""

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tonearm.errors import TonearmError
from tonearm.generation.request import TakeRequest
from tonearm.model import Model
from tonearm.steering import Steering, SteeringVector
from tonearm.studies.effects_measures import MeasureRequest, measure_batches
from tonearm.studies.effects_trials import read_records

log = logging.getLogger(__name__)

Record = Mapping[str, Any]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Setting:
    """One steering of a study.

    name      key in the records
    steering  of every take
    texts     in place of the study's prompts, such as those with a word in them; the CLAP score
              is that of the study's prompts
    """

    name: str
    steering: Steering
    texts: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Prompts:
    """The prompts of a study; prompt i has the seed `first_seed` + i under every setting."""

    texts: tuple[str, ...]
    first_seed: int
    seconds: float


def run_settings(
    model: Model,
    settings: Sequence[Setting],
    prompts: Prompts,
    vectors: Mapping[str, SteeringVector],
    store: Path | None,
    protocol: str,
    *,
    batch_size: int = 48,
    workers: int = 0,
    progress: Progress | None = None,
) -> dict[str, list[Record]]:
    """Generate and measure the takes that the store lacks.

    Args:
        model: to generate with.
        settings: with different names.
        prompts: of every setting.
        vectors: by the names in the steerings.
        store: file of records; None keeps them in memory alone.
        protocol: identifies everything that the names of the settings do not.
        batch_size: takes per batch; settings share batches.
        workers: processes that measure; 0 for this one.
        progress: called with takes done and takes in all.

    Returns:
        Records of each setting, in the order of the prompts.

    Raises:
        TonearmError: the store holds records of another protocol.
    """
    known = list(read_records(store)) if store else []
    for record in known:
        if record["protocol"] != protocol:
            raise TonearmError(
                f"{store} holds takes of another protocol ({record['protocol']}, now {protocol}); "
                "choose another file"
            )
    records = {(record["setting"], record["prompt"]): record for record in known}
    missing = [
        (setting, index)
        for setting in settings
        for index in range(len(prompts.texts))
        if (setting.name, index) not in records
    ]
    batches = [missing[first : first + batch_size] for first in range(0, len(missing), batch_size)]
    began, done = time.monotonic(), 0
    if store:
        store.parent.mkdir(parents=True, exist_ok=True)
    file = store.open("a", encoding="utf-8") if store else None
    try:
        if file and known and store and not store.read_text(encoding="utf-8").endswith("\n"):
            file.write("\n")  # ends a record that was cut short
        requests = (_generate(model, batch, prompts, vectors) for batch in batches)
        for batch, measured in zip(batches, measure_batches(requests, workers), strict=True):
            for (setting, index), values in zip(batch, measured, strict=True):
                record = {
                    "setting": setting.name,
                    "prompt": index,
                    "seed": prompts.first_seed + index,
                    "protocol": protocol,
                    **values,
                }
                records[setting.name, index] = record
                if file:
                    file.write(json.dumps(record, allow_nan=False) + "\n")
            if file:
                file.flush()
            done += len(batch)
            if progress:
                progress(done, len(missing))
            left = (time.monotonic() - began) * (len(missing) - done) / done
            log.info("%d of %d takes, %.0f s left", done, len(missing), left)
    finally:
        if file:
            file.close()
    return {
        setting.name: [records[setting.name, index] for index in range(len(prompts.texts))]
        for setting in settings
    }


def _generate(
    model: Model,
    batch: Sequence[tuple[Setting, int]],
    prompts: Prompts,
    vectors: Mapping[str, SteeringVector],
) -> list[MeasureRequest]:
    """Generate one batch of takes."""
    requests = [
        TakeRequest(
            (setting.texts or prompts.texts)[index],
            prompts.first_seed + index,
            setting.steering,
            seconds=prompts.seconds,
        )
        for setting, index in batch
    ]
    takes = model.generate_batch(requests, vectors=vectors, batch_size=len(requests))
    return [
        MeasureRequest(take.clip, prompts.texts[index], prompts.texts[index - 1])
        for take, (_, index) in zip(takes, batch, strict=True)
    ]


def values_of(records: Sequence[Record], measure: str) -> list[float | None]:
    """The values of a measure, in the order of the records."""
    return [record[measure]["value"] for record in records]
