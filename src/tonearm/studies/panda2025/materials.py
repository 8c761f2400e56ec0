"""What the corpora and the model give before any take: activations, vectors, and given clips.

corpora/     rendered audio; of genres and instruments, or a corpus of the user's
activations/ of that audio
vectors/     fitted to them
pieces.jsonl.xz, given.jsonl.xz   pieces as the evaluators measure them
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tonearm.activations.audio import AudioSpec
from tonearm.activations.corpus import capture_recordings
from tonearm.activations.store import ActivationStore
from tonearm.datasets.labelled_audio import read_corpus
from tonearm.datasets.recordings import recordings_of
from tonearm.datasets.rendering.corpus import render_corpus
from tonearm.model import Model
from tonearm.progress import Progress
from tonearm.steering import SteeringVector
from tonearm.studies.panda2025.clips import is_given
from tonearm.studies.panda2025.context import GivenClip
from tonearm.studies.panda2025.design import (
    SITES,
    STYLE_PAIRS,
    Design,
    GenrePair,
    genre_pairs,
)
from tonearm.studies.panda2025.evaluated import Piece, evaluated
from tonearm.studies.panda2025.vectors import (
    SET_ASIDE,
    Labelled,
    make_vectors,
    relabelled,
    vector_names,
)
from tonearm.studies.records import Record

PIECES, GIVEN = "pieces", "given"
GENRE, LEAD = "genre", "lead"
CLASSIFIED_FILE, GIVEN_FILE = "pieces.jsonl.xz", "given.jsonl.xz"
GIVEN_SEED = 1  # of the rendering; pieces of seed 0 are in the corpus
CLASSIFIED_GROUPS = ("clap", "tags")


@dataclass(frozen=True)
class Materials:
    """What is known before any take.

    pairs       rows of tables I and II
    genres      labels of the corpus
    vectors     by name, with random ones
    given       clips
    classified  records of the pieces that train the classifiers
    references  records of the given clips
    """

    pairs: Sequence[GenrePair]
    genres: Sequence[str]
    vectors: Mapping[str, SteeringVector]
    given: Sequence[GivenClip]
    classified: Sequence[Record]
    references: Sequence[Record]


def make_materials(
    model: Model,
    folder: Path,
    design: Design,
    harmony: tuple[str, ...],
    workers: int,
    progress: Progress | None = None,
) -> Materials:
    """Render, capture, fit and measure what the run's folder lacks.

    Args:
        model: the checkpoint.
        folder: of the run.
        design: sizes.
        harmony: groups of measures that compare takes with given clips.
        workers: processes that measure.
        progress: called with steps done and steps in all of each part.
    """
    corpora = folder / "corpora"
    render_corpus("pocket", corpora / PIECES, clips=design.pieces, progress=progress)
    render_corpus("pocket", corpora / GIVEN, clips=design.given, seed=GIVEN_SEED, progress=progress)
    pieces, given = (_pieces(corpora / name) for name in (PIECES, GIVEN))
    spec = AudioSpec(SITES, segment_seconds=design.segment)
    recordings = [piece.recording for piece in pieces]
    place = folder / "activations" / PIECES
    store = capture_recordings(model.engine, recordings, spec, place, progress)
    aside = _first_of_each(pieces, GENRE, design.classified)
    genres, leads = (_by_column(store, pieces, column, aside) for column in (GENRE, LEAD))
    pairs = genre_pairs(genres.labels)
    names = vector_names(design, pairs)
    vectors = make_vectors(model, genres, leads, names, folder, design.random, progress)
    given = _needed(given, pairs, design.clips)
    clips = [(one, one.clip(design.seconds, model.shape.sample_rate)) for one in [*aside, *given]]
    first = len(aside)
    return Materials(
        pairs,
        sorted(genres.labels),
        vectors,
        [
            GivenClip(piece.name, piece.labels[GENRE], piece.labels[LEAD], clip)
            for piece, clip in clips[first:]
        ],
        evaluated(clips[:first], CLASSIFIED_GROUPS, folder / CLASSIFIED_FILE, workers, progress),
        evaluated(
            clips[first:],
            (*CLASSIFIED_GROUPS, *harmony),
            folder / GIVEN_FILE,
            workers,
            progress,
        ),
    )


def _pieces(folder: Path) -> list[Piece]:
    corpus = read_corpus([folder], label=GENRE)
    named = zip(recordings_of(corpus), corpus, strict=True)
    return [Piece(recording, file.columns) for recording, file in named]


def _first_of_each(pieces: Sequence[Piece], column: str, count: int) -> list[Piece]:
    """The first pieces of each label."""
    taken: dict[str, int] = {}
    found = []
    for piece in pieces:
        label = piece.labels[column]
        taken[label] = taken.get(label, 0) + 1
        if taken[label] <= count:
            found.append(piece)
    return found


def _needed(pieces: Sequence[Piece], pairs: Sequence[GenrePair], count: int) -> list[Piece]:
    """The pieces that serve as given clips, in order."""
    sources = ["", *(pair.source for pair in pairs if pair.name in STYLE_PAIRS)]
    chosen = [
        [one for one in pieces if is_given(one.labels[GENRE], one.labels[LEAD], source)][:count]
        for source in sources
    ]
    names = {one.name for some in chosen for one in some}
    return [one for one in pieces if one.name in names]


def _by_column(
    store: ActivationStore, pieces: Sequence[Piece], column: str, aside: Sequence[Piece]
) -> Labelled:
    """Activations under a column's labels; pieces that are set aside have none."""
    labels = {piece.name: piece.labels[column] for piece in pieces}
    return Labelled.of(
        relabelled(store, labels | dict.fromkeys((one.name for one in aside), SET_ASIDE))
    )
