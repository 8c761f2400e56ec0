"""Materials of the study, made before any take: structure, vectors and given clips.

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

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tonearm.activations.store import ActivationStore
from tonearm.datasets.labelled_audio import read_corpus
from tonearm.datasets.recordings import recordings_of
from tonearm.datasets.rendering.corpus import render_corpus
from tonearm.errors import TonearmError
from tonearm.evaluators.base import AudioTextEmbedder
from tonearm.model import Model
from tonearm.progress import Progress
from tonearm.steering import SteeringVector
from tonearm.studies.evaluated_pieces import Excerpt, Piece, evaluate_pieces
from tonearm.studies.label_scores import known_labels
from tonearm.studies.panda2025.clips import is_given
from tonearm.studies.panda2025.context import GivenClip
from tonearm.studies.panda2025.corpora import (
    COMPOSED,
    INSTRUMENT_PIECES,
    PIECES,
    CapturedCorpus,
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
    spelled,
)
from tonearm.studies.panda2025.structure import measure_structure
from tonearm.studies.panda2025.structure_results import load_structure, save_structure
from tonearm.studies.panda2025.vectors import (
    SET_ASIDE,
    Labelled,
    make_vectors,
    relabel,
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

    pairs      rows of tables I and II
    genres     labels of the corpus that CLAP can score
    vectors    by name, with random ones
    given      clips
    left_out   items of the corpora that cannot be used, by corpus and reason
    """

    pairs: Sequence[GenrePair]
    genres: Sequence[str]
    vectors: Mapping[str, SteeringVector]
    given: Sequence[GivenClip]
    left_out: Sequence[str]


def make_materials(
    model: Model,
    folder: Path,
    design: Design,
    clap: AudioTextEmbedder,
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
        clap: that scores the genres.
        harmony: groups of measures that compare takes with given clips.
        workers: processes that measure.
        genres: labelled corpus of the user's, in place of rendered pieces.
        progress: called with steps done and steps in all of each part.

    Raises:
        TonearmError: a corpus that cannot be rendered, read or captured, or without two genres of
            the paper's tables.
    """
    if genres is not None:
        pairs_of(genre_labels(genres, clap))  # a corpus that is no use is refused at once
    sizes = CorpusSizes(
        design.pieces,
        design.notes,
        design.chords,
        design.progressions,
        piece_seconds=design.segment,
    )
    corpora = capture_corpora(model, folder, sizes, genres=genres, progress=progress)
    _measure_structure(corpora, folder / STRUCTURE_FILE, progress)
    of_genres = _pieces(corpora[PIECES], genres or folder / "corpora" / PIECES)
    by_lead, of_leads = corpora[PIECES], of_genres
    if genres is not None:
        by_lead = capture_pieces(model, folder, INSTRUMENT_PIECES, sizes, progress)
        of_leads = _pieces(by_lead, folder / "corpora" / INSTRUMENT_PIECES)
    aside = {
        GENRE: _set_aside(of_genres, design.classified),
        LEAD: _set_aside(of_leads, design.classified),
    }
    by_genre = _labelled(corpora[PIECES].store, of_genres, GENRE, aside[GENRE])
    by_instrument = _labelled(by_lead.store, of_leads, LEAD, aside[LEAD])
    labels = known_labels(clap, by_genre.labels)
    pairs = pairs_of(labels)
    vectors = make_vectors(model, by_genre, by_instrument, design, pairs, folder, progress=progress)
    given = _given(folder, design, pairs, progress)

    def excerpts(members: Sequence[Piece]) -> list[Excerpt]:
        return [Excerpt(one, design.seconds, model.shape.sample_rate) for one in members]

    classified = {GENRE: aside[GENRE]} if genres is None else aside
    for column, members in classified.items():
        path = folder / CLASSIFIED_FILES[column]
        evaluate_pieces(excerpts(members), CLASSIFIED_GROUPS, path, workers, progress)
    groups = (*CLASSIFIED_GROUPS, *harmony)
    evaluate_pieces(excerpts(given), groups, folder / GIVEN_FILE, workers, progress)
    return Materials(
        pairs,
        labels,
        vectors,
        [
            GivenClip(one.piece.name, one.piece.labels[GENRE], one.piece.labels[LEAD], one.clip())
            for one in excerpts(given)
        ],
        [
            f"{name}: {len(one.names)} {one.reason}"
            for name, corpus in corpora.items()
            for one in corpus.skipped
        ],
    )


def genre_labels(folder: Path, clap: AudioTextEmbedder) -> list[str]:
    """Genres of a corpus that an evaluator can score, as the paper spells them.

    Raises:
        TonearmError: no labelled corpus.
    """
    return known_labels(clap, {spelled(label) for label in read_corpus([folder]).labels})


def pairs_of(labels: Collection[str]) -> tuple[GenrePair, ...]:
    """Pairs of genres. Raises TonearmError where there is none."""
    pairs = genre_pairs(labels)
    if not pairs:
        raise TonearmError(
            f"the corpus has the genres {', '.join(sorted(labels))}, and no pair of the paper's: "
            f"{', '.join(pair.name for pair in GENRE_PAIRS)}; give a corpus with two of them"
        )
    return pairs


def _measure_structure(
    corpora: Mapping[str, CapturedCorpus], path: Path, progress: Progress | None
) -> None:
    """Measure clusters and probes, unless the file has those of the same activations."""
    infos = [(name, corpora[name].store.info) for name in sorted(corpora)]
    identity = [(name, info.fingerprint, info.recordings_hash) for name, info in infos]
    source = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
    if path.is_file() and load_structure(path).source == source:
        return
    found = measure_structure(corpora, progress)
    save_structure(found.model_copy(update={"source": source}), path)


def _pieces(corpus: CapturedCorpus, folder: Path) -> list[Piece]:
    """Recordings with captured segments, with their labels; the corpus's own label is the genre."""
    files = read_corpus([folder], label=GENRE if LEAD in corpus.column_names else None)
    captured = {segment.name for segment in corpus.store.segments}
    return [
        Piece(recording, {**file.columns, GENRE: spelled(file.label)})
        for recording, file in zip(recordings_of(files), files, strict=True)
        if recording.name in captured
    ]


def _set_aside(pieces: Sequence[Piece], count: int) -> list[Piece]:
    """The first tracks of each genre, and pieces of instruments that are rare among them.

    A third of the tracks of a genre at most is set aside.
    """
    tracks: dict[str, set[str]] = {}
    for piece in pieces:
        tracks.setdefault(piece.labels[GENRE], set()).add(piece.recording.track)
    taken: dict[str, set[str]] = {genre: set() for genre in tracks}
    found = []
    for piece in pieces:
        genre = piece.labels[GENRE]
        most = min(count, len(tracks[genre]) // 3)
        if len(taken[genre]) < most and piece.recording.track not in taken[genre]:
            taken[genre].add(piece.recording.track)
            found.append(piece)
    return found + _of_rare_instruments(pieces, found)


def _of_rare_instruments(pieces: Sequence[Piece], chosen: Sequence[Piece]) -> list[Piece]:
    """Pieces that give each instrument LEAST_PIECES among those that are set aside."""
    counts = Counter(piece.labels.get(LEAD) for piece in chosen)
    known = {piece.name for piece in chosen}
    found = []
    for piece in pieces:
        lead = piece.labels.get(LEAD)
        if lead is not None and counts[lead] < LEAST_PIECES and piece.name not in known:
            counts[lead] += 1
            found.append(piece)
    return found


def _given(
    folder: Path, design: Design, pairs: Sequence[GenrePair], progress: Progress | None
) -> list[Piece]:
    """Pieces that serve as given clips, in order; rendered apart from those of the corpus."""
    place = folder / "corpora" / GIVEN
    render_corpus(COMPOSED, place, clips=design.given, seed=GIVEN_SEED, progress=progress)
    files = read_corpus([place], label=GENRE)
    pieces = [
        Piece(recording, file.columns)
        for recording, file in zip(recordings_of(files), files, strict=True)
    ]
    sources = ["", *(pair.source for pair in pairs if pair.name in STYLE_PAIRS)]
    chosen = [
        [one for one in pieces if is_given(one.labels[GENRE], one.labels[LEAD], source)]
        for source in sources
    ]
    names = {one.name for some in chosen for one in some[: design.clips]}
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
    return Labelled.of(relabel(store, labels))
