"""Pieces as the evaluators measure them, kept in a file of the run.

Pieces that are set aside train the classifiers; given clips are what takes are compared with.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tonearm.audio import Clip
from tonearm.datasets.recordings import Recording
from tonearm.progress import Progress
from tonearm.studies.measuring import Job, measuring
from tonearm.studies.records import Record, read_records, save_records


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
    """Measure pieces, or read their records where the file has just these pieces.

    Args:
        pieces: each with the audio that is measured.
        groups: of measures.
        path: of the file.
        workers: processes that measure; 0 for this one.
        progress: called with pieces done and pieces in all.

    Returns:
        One record per piece: `name`, labels, and the values of the groups.
    """
    if path.is_file():
        known = list(read_records(path))
        if [one["name"] for one in known] == [piece.name for piece, _ in pieces]:
            return known
    values: dict[str, dict[str, object]] = {piece.name: {} for piece, _ in pieces}
    counted = 0
    with measuring(workers) as jobs:
        for piece, clip in pieces:
            for found in jobs.add([Job(piece.name, clip, {"text": "music"}, groups)]):
                for one in found:
                    values[one.key].update(one.record)
            counted += 1
            if progress:
                progress(counted, len(pieces))
        for found in jobs.finish():
            for one in found:
                values[one.key].update(one.record)
    records: list[Record] = [
        {"name": piece.name, **piece.labels, **values[piece.name]} for piece, _ in pieces
    ]
    save_records(records, path)
    return records
