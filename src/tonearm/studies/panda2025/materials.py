"""What the corpora and the model give before any take: structure, vectors, and given clips.

    corpora/, activations/   of the corpora (`tonearm.studies.panda2025.corpora`)
    structure.json           clusters and probes of the activations
    vectors/                 fitted to them
    pieces.jsonl.xz          pieces that no vector is fitted to, as the evaluators measure them
    instruments.jsonl.xz     the same of rendered pieces, where the genres are those of a corpus of the
                             user's
    given.jsonl.xz           given clips, likewise

Genres are those of the rendered pieces, or of a corpus of the user's. Instruments, and the given
clips, are always of rendered pieces.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tonearm.activations.store import ActivationStore
from tonearm.datasets.labelled_audio import read_corpus
from tonearm.datasets.recordings import recordings_of
from tonearm.datasets.rendering.corpus import render_corpus
from tonearm.errors import TonearmError
from tonearm.model import Model
from tonearm.progress import Progress
from tonearm.steering import SteeringVector
from tonearm.studies.panda2025.clips import is_given
from tonearm.studies.panda2025.context import GivenClip
from tonearm.studies.panda2025.corpora import (
    INSTRUMENT_PIECES,
    PIECES,
    CorpusSizes,
    capture_corpora,
    capture_pieces,
)
from tonearm.studies.panda2025.design import (
    GENRE_PAIRS,
    STYLE_PAIRS,
    Design,
    GenrePair,
    genre_pairs,
)
from tonearm.studies.panda2025.evaluated import Piece, evaluated
from tonearm.studies.panda2025.structure import measure_structure
from tonearm.studies.panda2025.structure_results import save_structure
from tonearm.studies.panda2025.vectors import (
    SET_ASIDE,
    Labelled,
    make_vectors,
    relabelled,
    vector_names,
)

GENRE, LEAD = "genre", "lead"
STRUCTURE_FILE = "structure.json"
CLASSIFIED_FILES = {GENRE: "pieces.jsonl.xz", LEAD: "instruments.jsonl.xz"}
GIVEN_FILE = "given.jsonl.xz"
GIVEN = "given"
GIVEN_SEED = 1  # of the rendering; the pieces of the corpus have seed 0
LEAST_PIECES = 2  # of each instrument that are set aside
CLASSIFIED_GROUPS: tuple[str, ...] = ("clap", "tags")


@dataclass(frozen=True)
class Materials:
    """What is known before any take.

    pairs    rows of tables I and II
    genres   labels of the corpus
    vectors  by name, with random ones
    given    clips
    """

    pairs: Sequence[GenrePair]
    genres: Sequence[str]
    vectors: Mapping[str, SteeringVector]
    given: Sequence[GivenClip]


def make_materials(
    model: Model,
    folder: Path,
    design: Design,
    harmony: tuple[str, ...],
    workers: int,
    genres: Path | None = None,
    progress: Progress | None = None,
) -> Materials:
    """Render, capture, fit and measure what the run's folder lacks.

    Args:
        model: the checkpoint.
        folder: of the run.
        design: sizes.
        harmony: groups of measures that compare takes with given clips.
        workers: processes that measure.
        genres: labelled corpus of the user's, in place of rendered pieces.
        progress: called with steps done and steps in all of each part.

    Raises:
        TonearmError: a corpus that cannot be rendered, read or captured, or without two genres of
            the paper's tables.
    """
    sizes = CorpusSizes(
        design.pieces,
        design.notes,
        design.chords,
        design.progressions,
        piece_seconds=design.segment,
    )
    corpora = capture_corpora(model, folder, sizes, genres=genres, progress=progress)
    if not (folder / STRUCTURE_FILE).is_file():
        save_structure(measure_structure(corpora, progress), folder / STRUCTURE_FILE)
    by_genre, pieces = corpora[PIECES].store, _pieces(genres or folder / "corpora" / PIECES, genres)
    by_lead, players = by_genre, pieces
    if genres is not None:
        by_lead = capture_pieces(model, folder, INSTRUMENT_PIECES, sizes, progress).store
        players = _pieces(folder / "corpora" / INSTRUMENT_PIECES)
    asides = {
        GENRE: _set_aside(pieces, design.classified),
        LEAD: _set_aside(players, design.classified),
    }
    of_genres = _labelled(by_genre, pieces, GENRE, asides[GENRE])
    of_leads = _labelled(by_lead, players, LEAD, asides[LEAD])
    pairs = genre_pairs(of_genres.labels)
    if not pairs:
        raise TonearmError(
            f"the corpus has the genres {', '.join(sorted(of_genres.labels))}, and no pair of the "
            f"paper's: {', '.join(pair.name for pair in GENRE_PAIRS)}; give a corpus with two of them"
        )
    names = vector_names(design, pairs)
    vectors = make_vectors(model, of_genres, of_leads, names, folder, design.random, progress)
    render_corpus(
        "pocket",
        folder / "corpora" / GIVEN,
        clips=design.given,
        seed=GIVEN_SEED,
        progress=progress,
    )
    given = _needed(_pieces(folder / "corpora" / GIVEN), pairs, design.clips)
    measured = {CLASSIFIED_FILES[GENRE]: (asides[GENRE], CLASSIFIED_GROUPS)}
    if genres is not None:
        measured[CLASSIFIED_FILES[LEAD]] = (asides[LEAD], CLASSIFIED_GROUPS)
    measured[GIVEN_FILE] = (given, (*CLASSIFIED_GROUPS, *harmony))
    clips = {}
    for path, (members, groups) in measured.items():
        read = [(one, one.clip(design.seconds, model.shape.sample_rate)) for one in members]
        evaluated(read, groups, folder / path, workers, progress)
        clips[path] = read
    return Materials(
        pairs,
        sorted(of_genres.labels),
        vectors,
        [
            GivenClip(piece.name, piece.labels[GENRE], piece.labels[LEAD], clip)
            for piece, clip in clips[GIVEN_FILE]
        ],
    )


def _pieces(folder: Path, own: Path | None = None) -> list[Piece]:
    """Recordings of a corpus with their labels; of the user's, its layout's label is the genre."""
    corpus = read_corpus([folder], label=GENRE if own is None else None)
    named = zip(recordings_of(corpus), corpus, strict=True)
    return [Piece(recording, {**file.columns, GENRE: file.label}) for recording, file in named]


def _first_of_each(pieces: Sequence[Piece], column: str, count: int) -> list[Piece]:
    """The first pieces of each label, of different tracks."""
    taken: dict[str, set[str]] = {}
    found = []
    for piece in pieces:
        tracks = taken.setdefault(piece.labels[column], set())
        if len(tracks) < count and piece.recording.track not in tracks:
            tracks.add(piece.recording.track)
            found.append(piece)
    return found


def _set_aside(pieces: Sequence[Piece], count: int) -> list[Piece]:
    """The first pieces of each genre, and more where an instrument has fewer than LEAST_PIECES."""
    found = _first_of_each(pieces, GENRE, count)
    if all(LEAD in piece.labels for piece in pieces):
        counts = Counter(piece.labels[LEAD] for piece in found)
        known = {piece.name for piece in found}
        for piece in pieces:
            if counts[piece.labels[LEAD]] < LEAST_PIECES and piece.name not in known:
                counts[piece.labels[LEAD]] += 1
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


def _labelled(
    store: ActivationStore, pieces: Sequence[Piece], column: str, aside: Sequence[Piece]
) -> Labelled:
    """Activations under a column's labels; tracks that are set aside have none."""
    tracks = {one.recording.track for one in aside}
    labels = {
        piece.name: SET_ASIDE if piece.recording.track in tracks else piece.labels[column]
        for piece in pieces
    }
    return Labelled.of(relabelled(store, labels))
