"""Records of a study: facts and measures of one take each, in a file or selected."""

import json
import lzma
from collections.abc import Iterator, Mapping, Sequence
from math import nan
from pathlib import Path
from statistics import fmean
from typing import Any

from tonearm.files.atomic import atomic_write

Record = Mapping[str, Any]  # strict JSON


def save_records(records: Sequence[Record], path: Path) -> None:
    """Write records as JSON Lines, compressed by xz."""
    lines = "".join(json.dumps(record, allow_nan=False) + "\n" for record in records)
    with atomic_write(path) as temporary:
        temporary.write_bytes(lzma.compress(lines.encode("utf-8"), preset=9))


def read_records(path: Path) -> Iterator[Record]:
    """Read the records of a .jsonl.xz file."""
    for line in lzma.decompress(path.read_bytes()).decode("utf-8").split("\n"):
        if line:
            yield json.loads(line)


def records_of(records: Sequence[Record], setting: str) -> list[Record]:
    """Select the records of a setting, by prompt."""
    return select(records, setting=setting)


def select(records: Sequence[Record], **facts: object) -> list[Record]:
    """Select the records with these facts, by prompt."""
    found = [one for one in records if all(one.get(key) == value for key, value in facts.items())]
    return sorted(found, key=lambda record: record["prompt"])


def by_facts(records: Sequence[Record], *names: str) -> dict[tuple[Any, ...], list[Record]]:
    """Records by the values of some facts, in their order; each group by prompt."""
    groups: dict[tuple[Any, ...], list[Record]] = {}
    for record in records:
        groups.setdefault(tuple(record.get(name) for name in names), []).append(record)
    return {key: sorted(found, key=lambda one: one["prompt"]) for key, found in groups.items()}


def same_prompts(records: Sequence[Record], takes: Sequence[Record]) -> list[Record]:
    """Records of the prompts of takes, in the order of the takes; one record for each prompt."""
    by_prompt = {record["prompt"]: record for record in records}
    return [by_prompt[take["prompt"]] for take in takes]


def values_of(records: Sequence[Record], measure: str) -> list[float | None]:
    """The values of a measure, in the order of the records."""
    return [record[measure]["value"] for record in records]


def mean_of(records: Sequence[Record], measure: str) -> float:
    """Mean of a measure over the records where it is defined; NaN where there are none."""
    found = [value for value in values_of(records, measure) if value is not None]
    return fmean(found) if found else nan
