"""Embedding of audio files: sets, references and labelled corpora.

A file of a set that cannot be read is returned as a `FailedFile`, and those of a corpus are counted
by reason; the others are embedded.

Shapes: rows are [n files, D dimensions].
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tonearm import boundary
from tonearm.audio import Clip
from tonearm.datasets.audio_files import FailedFile, audio_files, read_clips
from tonearm.datasets.labelled_audio import read_corpus
from tonearm.datasets.reading import skip_log, sounding_clips
from tonearm.datasets.skips import REFUSED, Skipped, describe_skips
from tonearm.errors import TonearmError
from tonearm.evaluators.array_file import ARRAY_FILES
from tonearm.evaluators.base import Embedder, as_embedder, describe_embedder
from tonearm.evaluators.embedding_set import EmbeddingSet
from tonearm.files.real_path import real_path
from tonearm.progress import Progress


@dataclass(frozen=True)
class EmbeddedCorpus:
    """Embeddings of a labelled corpus.

    Attributes:
        rows: float64 [n, D].
        labels: one per row.
        tracks: one per row, or the piece where several tracks are made from one.
        embedder: name and windows of the embedder.
        skipped: items without a row, by reason.
    """

    rows: np.ndarray
    labels: tuple[str, ...]
    tracks: tuple[str, ...]
    embedder: str
    skipped: tuple[Skipped, ...]


def as_paths(value: object, name: str) -> list[Path]:
    """Return a list of paths, one or more. Raises TonearmError for another type."""
    paths = boundary.sequence(value, name, boundary.path, "a list of paths")
    if not paths:
        raise TonearmError(f"{name} is empty; give one path or more")
    return [Path(path) for path in paths]


def set_name(paths: Sequence[Path]) -> str:
    """Name a set of files in protocols: the folder's or file's name, or the number of files."""
    return real_path(paths[0]).name if len(paths) == 1 else f"{len(paths)} files"


def is_embedding_file(path: Path) -> bool:
    return path.suffix in ARRAY_FILES


def embed_files(
    paths: Sequence[Path], embedder: Embedder, progress: Progress | None = None
) -> tuple[EmbeddingSet, tuple[FailedFile, ...]]:
    """Embed audio files as one set.

    Args:
        paths: files and folders.
        embedder: maps each file to one row.
        progress: called with (done, total) files.

    Returns:
        The set, and the files that could not be read.

    Raises:
        TonearmError: a folder has no audio, or no file could be read.
    """
    paths, embedder = as_paths(paths, "paths"), as_embedder(embedder, "embedder")
    progress = boundary.optional(boundary.function, progress, "progress")
    rows, failures = [], []
    for path, clip in read_clips(audio_files(paths), progress):
        row = _row(path, clip, embedder)
        if isinstance(row, FailedFile):
            failures.append(row)
        else:
            rows.append(row)
    if not rows:
        reasons = "; ".join(failure.reason for failure in failures[:1])
        raise TonearmError(f"no file could be embedded ({reasons}); give audio files or folders")
    return EmbeddingSet(np.stack(rows), describe_embedder(embedder), set_name(paths)), tuple(
        failures
    )


def _row(path: Path, clip: Clip | FailedFile, embedder: Embedder) -> np.ndarray | FailedFile:
    """Embedding of a clip, or the reason why there is none."""
    if isinstance(clip, FailedFile):
        return clip
    try:
        return embedder.embed([clip])[0]
    except TonearmError as error:
        return FailedFile(path, f"{path}: {error}")


def embed_reference(
    path: Path, embedder: Embedder, progress: Progress | None = None
) -> EmbeddingSet:
    """Embed a reference set.

    Args:
        path: a folder of audio, or a .npy or .npz file of embeddings.
        embedder: maps each file to one row; not used for a file of embeddings.
        progress: called with (done, total) files.

    Returns:
        The set. Distances compare only against one reference, so a file is never left out.

    Raises:
        TonearmError: no such folder or file, or a file that cannot be read.
    """
    path = Path(boundary.path(path, "reference"))
    if is_embedding_file(path):
        return EmbeddingSet.read(path)
    if not path.is_dir():
        raise TonearmError(
            f"no folder at {path}; --reference takes a folder of audio, or a .npy or .npz file"
        )
    embedded, failures = embed_files([path], embedder, progress)
    if failures:
        raise TonearmError(f"the reference has a file that cannot be used: {failures[0].reason}")
    return embedded


def embed_corpus(
    folders: Sequence[Path],
    embedder: Embedder,
    *,
    label: str | None = None,
    where: Mapping[str, str] | None = None,
    layout: str | None = None,
    progress: Progress | None = None,
) -> EmbeddedCorpus:
    """Embed a labelled corpus; unusable and silent files are left out.

    Args:
        folders: one corpus, or one folder per label.
        embedder: maps each file to one row.
        label: column of the labels; default: that of the layout.
        where: values by column; other items are left out.
        layout: name of the layout; default: found by the files in the folder.
        progress: called with (done, total) files.

    Returns:
        Rows with their labels and tracks, and the items left out.

    Raises:
        TonearmError: no labelled corpus, or no file with sound.
    """
    folders, embedder = as_paths(folders, "folders"), as_embedder(embedder, "embedder")
    progress = boundary.optional(boundary.function, progress, "progress")
    corpus = read_corpus(folders, label=label, where=where, layout=layout)
    log = skip_log(corpus)
    rows, kept = [], []
    for file, clip in sounding_clips(corpus, log, progress):
        try:
            rows.append(embedder.embed([clip])[0])
        except TonearmError as error:
            log.add(REFUSED, file.name, f"{file.name}: {error}")
        else:
            kept.append(file)
    skipped = (*corpus.skipped, *log.skipped)
    if not rows:
        raise TonearmError(
            f"no file with sound in {', '.join(map(str, folders))}: {describe_skips(skipped)}; "
            "give folders of audio"
        )
    return EmbeddedCorpus(
        rows=np.stack(rows).astype(np.float64),
        labels=tuple(file.label for file in kept),
        tracks=tuple(file.split_unit for file in kept),
        embedder=describe_embedder(embedder),
        skipped=skipped,
    )
