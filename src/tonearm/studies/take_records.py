"""Records of takes: one line of JSON per take, appended as the takes are measured.

A run that was stopped continues with the takes that are missing; records of another protocol are
refused.
"""

import json
import logging
import lzma
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tonearm.errors import TonearmError
from tonearm.files.atomic import atomic_write
from tonearm.studies.effects_measures import MeasureRequest, measure_batches

log = logging.getLogger(__name__)

Record = Mapping[str, Any]  # one take: setting, prompt, seed, protocol, and its measures
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class PlannedTake:
    """A take to be made and measured.

    setting  name of what is done to it
    prompt   index of its prompt
    seed     of its sampling
    facts    further entries of its record
    """

    setting: str
    prompt: int
    seed: int
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, int]:
        return self.setting, self.prompt


def complete_records(
    planned: Sequence[PlannedTake],
    make: Callable[[Sequence[PlannedTake]], list[MeasureRequest]],
    store: Path | None,
    protocol: str,
    *,
    batch_size: int = 48,
    workers: int = 0,
    progress: Progress | None = None,
) -> dict[tuple[str, int], Record]:
    """Make and measure the planned takes that the store lacks.

    Args:
        planned: takes with different keys.
        make: makes the audio of a batch.
        store: file of records; None keeps them in memory alone.
        protocol: identifies everything that the planned takes do not.
        batch_size: takes per batch.
        workers: processes that measure; 0 for this one.
        progress: called with takes done and takes in all.

    Returns:
        All records by setting and prompt, including those of the store that are not planned.

    Raises:
        TonearmError: the store holds records of another protocol.
    """
    known = list(read_records(store)) if store else []
    for record in known:
        if record["protocol"] != protocol:
            raise TonearmError(
                f"{store} holds takes of another protocol ({record['protocol']}, now {protocol}); "
                "choose another place"
            )
    records = {(record["setting"], record["prompt"]): record for record in known}
    missing = [take for take in planned if take.key not in records]
    batches = [missing[first : first + batch_size] for first in range(0, len(missing), batch_size)]
    began, done = time.monotonic(), 0
    if store:
        store.parent.mkdir(parents=True, exist_ok=True)
    file = store.open("a", encoding="utf-8") if store else None
    try:
        if file and known and store and not store.read_text(encoding="utf-8").endswith("\n"):
            file.write("\n")  # ends a record that was cut short
        requests = (make(batch) for batch in batches)
        for batch, measured in zip(batches, measure_batches(requests, workers), strict=True):
            for take, values in zip(batch, measured, strict=True):
                record = {
                    "setting": take.setting,
                    "prompt": take.prompt,
                    "seed": take.seed,
                    "protocol": protocol,
                    **take.facts,
                    **values,
                }
                records[take.key] = record
                if file:
                    file.write(json.dumps(record, allow_nan=False) + "\n")
            if file:
                file.flush()
            done += len(batch)
            if progress:
                progress(done, len(missing))
            left = (time.monotonic() - began) * (len(missing) - done) / done
            log.info("%s: %d of %d takes, %.0f s left", take.setting, done, len(missing), left)
    finally:
        if file:
            file.close()
    return records


def save_records(records: Sequence[Record], path: Path) -> None:
    """Write records as JSON Lines, compressed by xz."""
    lines = "".join(json.dumps(record, allow_nan=False) + "\n" for record in records)
    with atomic_write(path) as temporary:
        temporary.write_bytes(lzma.compress(lines.encode("utf-8"), preset=9))


def read_records(store: Path) -> Iterator[Record]:
    """Read whole records of a .jsonl or .jsonl.xz file; one that was cut short is skipped."""
    if store.exists():
        content = store.read_bytes()
        content = lzma.decompress(content) if store.suffix == ".xz" else content
        for line in content.decode("utf-8").split("\n"):
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                continue


def records_of(records: Sequence[Record], setting: str) -> list[Record]:
    """Select the records of a setting, by prompt."""
    found = [record for record in records if record["setting"] == setting]
    return sorted(found, key=lambda record: record["prompt"])


def values_of(records: Sequence[Record], measure: str) -> list[float | None]:
    """The values of a measure, in the order of the records."""
    return [record[measure]["value"] for record in records]
