"""Pieces as the evaluators measure them, kept in a file of the run.

Pieces that are set aside train the classifiers; given clips are what takes are compared with.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from lzma import LZMAError
from pathlib import Path
from typing import Any

from tonearm.audio import Clip
from tonearm.datasets.recordings import Recording
from tonearm.errors import TonearmError
from tonearm.progress import Progress
from tonearm.studies.measure_groups import group
from tonearm.studies.measuring import Job, measuring
from tonearm.studies.records import Record, read_records, save_records
from tonearm.studies.store import Values

TEXT = "music"  # that the CLAP score compares pieces with, which no table uses


@dataclass(frozen=True)
class Piece:
    """A recording with all its labels by column."""

    recording: Recording
    labels: Mapping[str, str]

    @property
    def name(self) -> str:
        return self.recording.name

    def clip(self, seconds: float, sample_rate: int) -> Clip:
        """Its beginning, as a checkpoint would give it back."""
        return self.recording.read().resampled(sample_rate).first(seconds)


def evaluated(
    pieces: Sequence[tuple[Piece, Clip]],
    groups: tuple[str, ...],
    path: Path,
    workers: int,
    progress: Progress | None = None,
) -> list[Record]:
    """Measure pieces, or read their records where the file has these pieces by the same evaluators.

    Args:
        pieces: each with the audio that is measured.
        groups: of measures.
        path: of the file.
        workers: processes that measure; 0 for this one.
        progress: called with pieces done and pieces in all.

    Returns:
        One record per piece: `name`, labels, `fingerprints` of the groups, and their values.

    Raises:
        TonearmError: the file is damaged.
    """
    names = [piece.name for piece, _ in pieces]
    fingerprints = {name: group(name).fingerprint for name in groups}
    if path.is_file():
        known = kept_records(path)
        if [one["name"] for one in known] == names and all(
            one["fingerprints"] == fingerprints for one in known
        ):
            return known
    values: dict[str, dict[str, Any]] = {name: {} for name in names}

    def keep(measured: Iterable[list[Values]]) -> None:
        for one in chain.from_iterable(measured):
            values[one.key].update(one.record)

    with measuring(workers) as jobs:
        for done, (piece, clip) in enumerate(pieces):
            if progress:
                progress(done, len(pieces))
            keep(jobs.add([Job(piece.name, clip, {"text": TEXT, "other_text": TEXT}, groups)]))
        keep(jobs.finish())
    records: list[Record] = [
        {"name": piece.name, **piece.labels, "fingerprints": fingerprints, **values[piece.name]}
        for piece, _ in pieces
    ]
    save_records(records, path)
    return records


def kept_records(path: Path) -> list[Record]:
    """Read records of pieces. Raises TonearmError where the file is missing or damaged."""
    try:
        return list(read_records(path))
    except (OSError, ValueError, LZMAError, EOFError):
        raise TonearmError(
            f"{path} is missing or damaged; delete it and run the study again with --resume, which "
            "makes no take again"
        ) from None
