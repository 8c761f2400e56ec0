"""What the corpora and the model give before any take: structure, vectors, and given clips.

    corpora/, activations/   of the corpora (`tonearm.studies.panda2025.corpora`)
    structure.json           clusters and probes of the activations
    vectors/                 fitted to them
    pieces.jsonl.xz          pieces that no vector is fitted to, as the evaluators measure them
    instruments.jsonl.xz     the same with instruments as labels
    given.jsonl.xz           given clips, likewise

Genres are those of the rendered pieces, or of a corpus of the user's. Instruments, and the given
clips, are always of rendered pieces.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tonearm.activations.store import ActivationStore
from tonearm.datasets.labelled_audio import read_corpus
from tonearm.datasets.recordings import recordings_of
from tonearm.datasets.rendering.corpus import render_corpus
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
from tonearm.studies.panda2025.design import STYLE_PAIRS, Design, GenrePair, genre_pairs
from tonearm.studies.panda2025.evaluated import Piece, evaluated
from tonearm.studies.panda2025.structure import measure_structure
from tonearm.studies.panda2025.structure_results import load_structure, save_structure
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
CLASSIFIED_GROUPS = ("clap", "tags")
