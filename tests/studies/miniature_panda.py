"""The Panda study in miniature: tiny corpora on disk in place of rendered ones, and planted measures."""

import csv
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import soundfile

from tests.studies.miniature import value
from tonearm.errors import TonearmError
from tonearm.studies.label_scores import LabelTexts
from tonearm.studies.measure_groups import LOADERS, Group
from tonearm.studies.panda2025 import corpora, materials, study
from tonearm.studies.panda2025.design import SMOKE

RATE = 1600  # of the tiny checkpoints
GENRES, LEADS = ("rock", "jazz", "folk", "hip hop"), ("flute", "violin", "marimba", "piano")
TINY = replace(SMOKE, seconds=3.0, segment=0.5, curve=(0.1, 1.0), classified=2, clips=2)
COLUMNS = {
    "notes": {"root_note_name": ("C", "D", "E"), "octave": ("4", "5")},
    "chords": {
        "chord_type": ("major", "minor"),
        "midi_program_name": ("Flute", "Violin"),
        "inversion": ("5", "6", "64"),
    },
    "progressions": {"chord_progression": ("I", "V"), "key_note_name": ("C", "D")},
    "pocket": {"genre": GENRES, "lead": LEADS},
}
REPEATS = {"notes": 3, "chords": 1, "progressions": 4, "pocket": 4}
DIMENSIONS = 6  # of planted embeddings
UNKNOWN = "polka"  # genre that the planted CLAP does not know


def render(recipe, folder, *, seed=0, **_):
    """Write a corpus with every combination of its labels, once."""
    if (folder / "metadata.csv").is_file():
        return
    folder.mkdir(parents=True)
    names = tuple(COLUMNS[recipe])
    rows = list(product(*COLUMNS[recipe].values())) * REPEATS[recipe]
    seconds = 3.0 if recipe == "pocket" else 4.0
    with (folder / "metadata.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file_name", *names, "track"])
        for index, labels in enumerate(rows):
            writer.writerow([f"{index}.wav", *labels, index])
            write_noise(folder / f"{index}.wav", seconds, [seed, index])


def write_noise(path, seconds, seed):
    """Write noise that is loud enough for the codes of the tiny random codec to vary."""
    noise = 1e4 * np.random.default_rng(seed).standard_normal(int(seconds * RATE))
    soundfile.write(path, noise, RATE, subtype="FLOAT")


def planted(name):
    """A group whose values are functions of the audio."""

    def measure(requests):
        found = []
        for request in requests:
            level = float(np.abs(request.clip.samples).mean())
            rng = np.random.default_rng(int(level * 1e9) % 2**32)
            found.append(VALUES[name](rng))
        return found

    return lambda: Group(name, "planted", name == "clap", measure)


def _clap(rng):
    row = rng.normal(size=DIMENSIONS)
    scores = {one: value(rng.uniform()) for one in ("clap_score", "clap_score_other_text")}
    return {**scores, "embedding": (row / np.linalg.norm(row)).tolist(), "embedder": "planted"}


VALUES = {
    "signal": lambda rng: {"faulty": bool(rng.uniform() < 0.2), "faults": []},
    "clap": _clap,
    "tags": lambda rng: {"tags": {one: float(rng.uniform()) for one in ("fast", "flute")}},
    "chroma": lambda rng: {
        "chroma": rng.uniform(size=(6, 12)).tolist(),
        "mean_chroma": rng.uniform(size=12).tolist(),
    },
    "notes": lambda rng: {"notes": [[0.1, 0.5, float(rng.integers(60, 64))]]},
}


class Clap:
    """An evaluator that knows all words but one."""

    def check_words(self, text):
        if text == UNKNOWN:
            raise TonearmError(f"{text} is not in the vocabulary")


def texts_of(_, labels):
    """Planted texts of labels."""
    rows = np.random.default_rng(len(labels)).normal(size=(len(labels), DIMENSIONS))
    return LabelTexts(tuple(labels), rows / np.linalg.norm(rows, axis=1, keepdims=True), 10.0)


def plant(patch: pytest.MonkeyPatch) -> None:
    """Replace rendering, texts and measures."""
    for module in (corpora, materials):
        patch.setattr(module, "render_corpus", render)
    patch.setattr(LabelTexts, "of", texts_of)
    patch.setattr(study, "load_clap", lambda name: Clap())
    for name in VALUES:
        patch.setitem(LOADERS, name, planted(name))
