"""Corpora of the study: rendered, or the user's own, and captured at all layers of both sites.

    OUT/corpora/<name>/        audio, resumed by `render_corpus`
    OUT/activations/<name>/    store of activations, resumed by `capture_recordings`

Each corpus is captured once, with one of its columns as the label. The other columns are looked up
by the recording's name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from tonearm.activations.audio import AudioSpec
from tonearm.activations.corpus import capture_recordings
from tonearm.activations.store import ActivationStore
from tonearm.datasets.labelled_audio import read_corpus
from tonearm.datasets.recordings import recordings_of
from tonearm.datasets.rendering.corpus import render_corpus
from tonearm.datasets.skips import Skipped
from tonearm.model import Model
from tonearm.progress import Progress
from tonearm.studies.panda2025.design import SITES

POOLING = "last"
PIECES, INSTRUMENT_PIECES = "pieces", "instrument-pieces"
COMPOSED = "pocket"  # recipe of pieces


@dataclass(frozen=True)
class StudyCorpus:
    """A corpus of the study.

    Attributes:
        name: of its folders.
        recipe: that renders it.
        label: column that the store of activations holds.
        where: values by column that select clips of the recipe.
    """

    name: str
    recipe: str
    label: str
    where: Mapping[str, str] = field(default_factory=dict)


CORPORA = (
    StudyCorpus("notes", "notes", "root_note_name"),
    StudyCorpus("chords", "chords", "chord_type", {"root_note_name": "C"}),
    StudyCorpus("progressions", "progressions", "chord_progression", {"key_note_name": "C"}),
    StudyCorpus(PIECES, COMPOSED, "genre"),
)


@dataclass(frozen=True)
class CorpusSizes:
    """Clips of each corpus, and lengths of segments.

    Attributes:
        pieces: number of composed pieces; unused with a corpus of genres of the user's.
        notes: balanced subset of the 9,936 notes; None: all.
        chords: balanced subset of the 1,104 chords on C; None: all.
        progressions: balanced subset of the 1,748 progressions in C; None: all.
        tone_seconds: segment of notes, chords and progressions.
        piece_seconds: segment of pieces.
    """

    pieces: int
    notes: int | None = None
    chords: int | None = None
    progressions: int | None = None
    tone_seconds: float = 4.0
    piece_seconds: float = 10.0

    def clips(self, recipe: str) -> int | None:
        """Number of clips of a recipe; None for all."""
        by_recipe = {
            "notes": self.notes,
            "chords": self.chords,
            "progressions": self.progressions,
            COMPOSED: self.pieces,
        }
        return by_recipe[recipe]

    def seconds(self, recipe: str) -> float:
        """Length of the segments of a recipe's clips."""
        return self.piece_seconds if recipe == COMPOSED else self.tone_seconds


@dataclass(frozen=True)
class CapturedCorpus:
    """A corpus whose activations are on disk.

    Attributes:
        name: of the corpus.
        store: its activations, one row for each segment.
        columns: by recording, all labels by name.
        skipped: items of the corpus and segments that were left out, by reason.
    """

    name: str
    store: ActivationStore
    columns: Mapping[str, Mapping[str, str]]
    skipped: tuple[Skipped, ...]

    @property
    def column_names(self) -> frozenset[str]:
        """Columns that the recordings have."""
        return frozenset().union(*(columns.keys() for columns in self.columns.values()))

    def has(self, column: str) -> bool:
        """Whether every segment has a value of a column."""
        return all(column in self.columns[segment.name] for segment in self.store.segments)

    def values(self, column: str) -> list[str]:
        """Value of a column for each segment."""
        return [self.columns[segment.name][column] for segment in self.store.segments]

    @property
    def tracks(self) -> list[str]:
        """Track of each segment."""
        return [segment.track for segment in self.store.segments]


def capture_corpora(
    model: Model,
    folder: Path,
    sizes: CorpusSizes,
    *,
    genres: Path | None = None,
    seed: int = 0,
    sound_font: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, CapturedCorpus]:
    """Render and capture the corpora of the study, or continue; finished parts are kept.

    Args:
        model: whose activations are captured. It is not changed.
        folder: of the run.
        sizes: of the corpora.
        genres: labelled corpus of the user's, such as GTZAN, in place of the composed pieces; the
            default label of its layout is the genre.
        seed: of the subsets and of the pieces.
        sound_font: .sf2 or .sf3 file; default: `find_sound_font()`.
        progress: called with (done, total) clips of one corpus after the other; rendering a clip
            and capturing it count one each.

    Returns:
        The corpora by name.

    Raises:
        TonearmError: a corpus cannot be rendered, read or captured, or the folder holds one with
            other arguments.
    """
    found = {}
    for corpus in CORPORA:
        own = genres if corpus.name == PIECES else None
        found[corpus.name] = _of_corpus(
            model, folder, corpus, sizes, own, seed, sound_font, progress
        )
    return found


def capture_pieces(
    model: Model,
    folder: Path,
    name: str,
    sizes: CorpusSizes,
    progress: Progress | None = None,
) -> CapturedCorpus:
    """Render and capture composed pieces under another name, in addition to a corpus of the user's.

    Args:
        model: whose activations are captured. It is not changed.
        folder: of the run.
        name: of the corpus.
        sizes: of the corpora.
        progress: as for `capture_corpora`.

    Raises:
        TonearmError: as for `capture_corpora`.
    """
    corpus = replace(next(one for one in CORPORA if one.name == PIECES), name=name)
    return _of_corpus(model, folder, corpus, sizes, None, 0, None, progress)


def _of_corpus(
    model: Model,
    folder: Path,
    corpus: StudyCorpus,
    sizes: CorpusSizes,
    own: Path | None,
    seed: int,
    sound_font: Path | None,
    progress: Progress | None,
) -> CapturedCorpus:
    """Render a corpus, or take the user's own, and capture it."""
    steps = _Steps(progress)
    audio = own
    if audio is None:
        audio = folder / "corpora" / corpus.name
        render_corpus(
            corpus.recipe,
            audio,
            clips=sizes.clips(corpus.recipe),
            where=corpus.where,
            seed=seed,
            sound_font=sound_font,
            progress=steps.rendered,
        )
    return _captured(
        model,
        corpus,
        audio,
        None if own else corpus.label,
        sizes.seconds(corpus.recipe),
        folder / "activations" / corpus.name,
        steps,
    )


@dataclass
class _Steps:
    """Progress of rendering and capturing one corpus; `clips` were rendered."""

    progress: Progress | None
    clips: int = 0

    def rendered(self, done: int, total: int) -> None:
        self.clips = total
        if self.progress:
            self.progress(done, 2 * total)

    def captured(self, done: int, total: int) -> None:
        if self.progress:
            self.progress(self.clips + done, self.clips + total)


def _captured(
    model: Model,
    corpus: StudyCorpus,
    audio: Path,
    label: str | None,
    seconds: float,
    folder: Path,
    steps: _Steps,
) -> CapturedCorpus:
    """Capture a corpus.

    Args:
        model: whose activations are captured.
        corpus: of the study.
        audio: folder with the clips.
        label: column; None: that of the layout.
        seconds: length of a segment.
        folder: of the store.
        steps: counts the recordings.
    """
    files = read_corpus([audio], label=label)
    recordings = recordings_of(files)
    spec = AudioSpec(sites=SITES, pooling=POOLING, segment_seconds=seconds)
    store = capture_recordings(model.engine, recordings, spec, folder, steps.captured)
    columns = {
        recording.name: {**file.columns, corpus.label: file.label}
        for recording, file in zip(recordings, files, strict=True)
    }
    skipped = (*files.skipped, *store.skipped(files.layout.known_defects))
    return CapturedCorpus(corpus.name, store, columns, skipped)
