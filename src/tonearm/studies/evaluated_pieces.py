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


@dataclass(frozen=True)
class Excerpt:
    """The beginning of a piece, at the sample rate of a checkpoint.

    piece        of which it is the beginning
    seconds      its length
    sample_rate  in Hz
    """

    piece: Piece
    seconds: float
    sample_rate: int

    def clip(self) -> Clip:
        """Read it. Raises TonearmError for audio that cannot be read."""
        return self.piece.recording.read().resampled(self.sample_rate).first(self.seconds)

    @property
    def identity(self) -> dict[str, Any]:
        """What its values depend on, besides the evaluators; JSON."""
        file, length = self.piece.recording.identity, f"{self.seconds:g} s"
        return {
            "name": self.piece.name,
            "audio": f"{file}, {length}, {self.sample_rate} Hz",
            **self.piece.labels,
        }


def evaluate_pieces(
    excerpts: Sequence[Excerpt],
    groups: tuple[str, ...],
    path: Path,
    workers: int,
    progress: Progress | None = None,
) -> list[Record]:
    """Measure pieces, or read their records where the file has them by the same evaluators.

    Args:
        excerpts: of the pieces.
        groups: of measures.
        path: of the file.
        workers: processes that measure; 0 for this one.
        progress: called with pieces done and pieces in all.

    Returns:
        One record per piece: `name`, `audio`, labels, `fingerprints` of the groups, and their
        values.

    Raises:
        TonearmError: the file is damaged, or a piece cannot be read.
    """
    fingerprints = {name: group(name).fingerprint for name in groups}
    wanted = [{**one.identity, "fingerprints": fingerprints} for one in excerpts]
    if path.is_file():
        known = kept_records(path)
        if len(known) == len(wanted) and all(
            record.get(name) == value
            for record, identity in zip(known, wanted, strict=True)
            for name, value in identity.items()
        ):
            return known
    values: dict[str, dict[str, Any]] = {one.piece.name: {} for one in excerpts}

    def keep(measured: Iterable[list[Values]]) -> None:
        for one in chain.from_iterable(measured):
            values[one.key].update(one.record)

    with measuring(workers) as jobs:
        for done, one in enumerate(excerpts):
            if progress:
                progress(done, len(excerpts))
            texts = {"text": TEXT, "other_text": TEXT}
            keep(jobs.add([Job(one.piece.name, one.clip(), texts, groups)]))
        keep(jobs.finish())
    records: list[Record] = [
        {**identity, **values[one.piece.name]}
        for one, identity in zip(excerpts, wanted, strict=True)
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
