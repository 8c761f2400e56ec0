"""Materials of the study, made before any take: examples, vectors, and classifiers of readings.

    activations/, vectors/   of the examples
    corpora/pieces/          rendered pieces of nine genres
    genre.jsonl.xz           the pieces, as musicnn tags them
    drums.jsonl.xz           further rendered pieces with and without drums, likewise

An attribute whose examples or readings need FluidSynth is left out, with the reason, where it is not
installed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tonearm.audio import Clip
from tonearm.datasets.labelled_audio import read_corpus
from tonearm.datasets.prompts import PromptPair, load_pair
from tonearm.datasets.recordings import Recording, recordings_of
from tonearm.datasets.rendering.corpus import render_corpus
from tonearm.datasets.rendering.drum_pairs import TEST_SEED, drum_pairs
from tonearm.datasets.rendering.synthesizer import find_sound_font, load_fluidsynth
from tonearm.errors import TonearmError
from tonearm.evaluators.load import load_clap
from tonearm.methods.base import NoDirection
from tonearm.model import Model
from tonearm.progress import Progress
from tonearm.steering import SteeringVector
from tonearm.studies.evaluated_pieces import Excerpt, Piece, evaluate_pieces, kept_records
from tonearm.studies.label_scores import Classifier, LabelTexts, tag_logits
from tonearm.studies.methods2026.attributes import Attribute, attributes, has_notes
from tonearm.studies.methods2026.design import Design
from tonearm.studies.methods2026.examples import DrumExamples, Examples, PromptExamples
from tonearm.studies.methods2026.note_probes import NoteMaterials, make_notes
from tonearm.studies.methods2026.readings import DRUMS, GENRE, Classified, Evaluators, words_of
from tonearm.studies.methods2026.stem_steering import WITH, WITHOUT, make_stems
from tonearm.studies.methods2026.variants import Candidate
from tonearm.studies.methods2026.vectors import Vectors, make_vectors
from tonearm.studies.records import Record

PIECES = "pieces"
RECIPE = "pocket"  # of the pieces
PIECES_SEED = 2  # of their rendering
TAGGED = ("tags",)


@dataclass(frozen=True)
class Materials:
    """What is known before any take.

    attributes  with examples and readings
    vectors     by name, with random ones
    evaluators  of readings
    notes       probes and vectors of pitch classes; None where nothing can be rendered
    stems       vectors of heads towards drums, likewise
    left_out    reason by attribute, by attribute and method, or of the pitch classes
    """

    attributes: Sequence[Attribute]
    vectors: Vectors
    evaluators: Evaluators
    notes: NoteMaterials | None
    stems: Mapping[str, SteeringVector]
    left_out: Mapping[str, str]

    @property
    def all_vectors(self) -> dict[str, SteeringVector]:
        """Vectors of the study by name."""
        notes = self.notes.vectors if self.notes else {}
        return {**self.vectors.by_name, **notes, **self.stems}


def usable_attributes(found: Sequence[Attribute]) -> tuple[list[Attribute], dict[str, str]]:
    """Attributes whose examples and readings can be made, and the reason for each other one."""
    reason = rendering_fault()
    usable = [one for one in found if reason is None or not _needs_rendering(one)]
    return usable, {one.name: reason or "" for one in found if one not in usable}


def _needs_rendering(attribute: Attribute) -> bool:
    return attribute.pair is None or any(
        isinstance(one, Classified) for one in attribute.all_readings
    )


def rendering_fault() -> str | None:
    """Why nothing can be rendered, in one line; None where it can."""
    try:
        load_fluidsynth()
        find_sound_font()
    except TonearmError as error:
        return str(error)
    return None


def make_materials(
    model: Model,
    folder: Path,
    design: Design,
    candidates: Sequence[Candidate],
    workers: int,
    progress: Progress | None = None,
) -> Materials:
    """Render, capture, fit and measure, as far as the folder of the run lacks it.

    Args:
        model: the checkpoint.
        folder: of the run.
        design: sizes.
        candidates: methods.
        workers: processes that measure.
        progress: called with steps done and steps in all of each part.

    Raises:
        TonearmError: a piece cannot be rendered or read, or the disk is full.
    """
    usable, left_out = usable_attributes(attributes(has_notes()))
    examples = {one.name: _examples(one, design, folder) for one in usable}
    vectors = make_vectors(model, examples, candidates, design, folder, progress)
    _measure_pieces(model, folder, design, usable, workers, progress)
    notes, stems = None, dict[str, SteeringVector]()
    left_out |= vectors.left_out
    fault = rendering_fault()
    if fault is None:
        notes = make_notes(model, folder, design, progress)
        try:
            stems = make_stems(model, drum_examples(design, folder), folder)
        except NoDirection as error:
            left_out |= {"drums by heads": str(error)}
    else:
        left_out |= {"pitch classes": fault, "drums by heads": fault}
    evaluators = make_evaluators(folder, usable)
    return Materials(usable, vectors, evaluators, notes, stems, left_out)


def _examples(attribute: Attribute, design: Design, folder: Path) -> Examples:
    if attribute.pair is None:
        return drum_examples(design, folder)
    pair = load_pair(attribute.pair)
    return PromptExamples(
        PromptPair(
            pair.name,
            pair.positive[: design.examples],
            pair.negative[: design.examples],
            pair.positive_label,
            pair.negative_label,
        ),
        design.seconds,
        folder,
    )


def drum_examples(design: Design, folder: Path) -> DrumExamples:
    """Rendered pieces without and with drums."""
    return DrumExamples(design.drum_pairs, design.seconds, folder)


def classifiers_of(found: Sequence[Attribute]) -> tuple[str, ...]:
    """Names of the classifiers that readings need."""
    readings = [reading for one in found for reading in one.all_readings]
    names = (one.classifier for one in readings if isinstance(one, Classified))
    return tuple(dict.fromkeys(names))


def _measure_pieces(
    model: Model,
    folder: Path,
    design: Design,
    found: Sequence[Attribute],
    workers: int,
    progress: Progress | None,
) -> None:
    """Tag the pieces that train the classifiers."""
    sources = {GENRE: _genre_pieces, DRUMS: _drum_pieces}
    for name in classifiers_of(found):
        pieces = sources[name](folder, design, progress)
        excerpts = [Excerpt(one, design.seconds, model.shape.sample_rate) for one in pieces]
        evaluate_pieces(excerpts, TAGGED, pieces_file(folder, name), workers, progress)


def pieces_file(folder: Path, classifier: str) -> Path:
    """File of the tagged pieces that train a classifier."""
    return folder / f"{classifier}.jsonl.xz"


def _genre_pieces(folder: Path, design: Design, progress: Progress | None) -> list[Piece]:
    place = folder / "corpora" / PIECES
    render_corpus(RECIPE, place, clips=design.pieces, seed=PIECES_SEED, progress=progress)
    files = read_corpus([place], label=GENRE)
    return [
        Piece(recording, {GENRE: file.label})
        for recording, file in zip(recordings_of(files), files, strict=True)
    ]


def _drum_pieces(folder: Path, design: Design, progress: Progress | None) -> list[Piece]:
    with_drums, without = drum_pairs(design.tested_pairs, TEST_SEED)
    return [
        Piece(Recording.of_clip(clip, label, f"{label} {number}"), {DRUMS: label})
        for label, clips in ((WITH, with_drums), (WITHOUT, without))
        for number, clip in enumerate[Clip](clips)
    ]


def music_of_drum_piece(record: Record) -> str:
    """The music of a rendered piece, the same with its drums and without them."""
    name: str = record["name"]
    return name.removeprefix(f"{record[DRUMS]} ")


MUSIC: Mapping[str, Callable[[Record], str]] = {DRUMS: music_of_drum_piece}  # by classifier


def make_evaluators(folder: Path, found: Sequence[Attribute]) -> Evaluators:
    """Evaluators of readings: texts of the bundled CLAP, and classifiers of the tagged pieces.

    Raises:
        TonearmError: a file of pieces is missing or damaged.
    """
    words = words_of([reading for one in found for reading in one.all_readings])
    return Evaluators(
        LabelTexts.of(load_clap("bundled"), words),
        {
            name: Classifier.trained(
                kept_records(pieces_file(folder, name)), name, tag_logits, MUSIC.get(name)
            )
            for name in classifiers_of(found)
        },
    )
