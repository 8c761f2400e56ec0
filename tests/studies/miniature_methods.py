"""The ranking of methods in miniature: tiny corpora in place of rendered ones, and planted measures."""

import csv
from dataclasses import replace

import numpy as np
import pytest

from tests.studies.miniature import value
from tests.studies.miniature_panda import RATE, texts_of, write_noise
from tonearm.audio import Clip
from tonearm.datasets import prompts
from tonearm.datasets.prompts import PromptPair
from tonearm.datasets.rendering.styles import STYLES
from tonearm.processing import shelf
from tonearm.studies import processing
from tonearm.studies.label_scores import LabelTexts
from tonearm.studies.measure_groups import LOADERS, Group
from tonearm.studies.methods2026 import examples, materials, note_probes
from tonearm.studies.methods2026.design import SMOKE

TINY = replace(
    SMOKE,
    seconds=3.0,
    examples=20,
    plain_seeds=2,
    divergences=(0.1, 0.3),
    cutoff=0.2,
    drum_pairs=20,
    tested_pairs=5,
    pieces=18,
    notes=30,
    tempos=24,
)
DIMENSIONS = 6  # of planted embeddings
TAGS = ("loud", "flute", "drums", "beat", "beats")
NUMBERS = {
    "signal": ("onset_rate", "onset_rate_superflux", "spectral_centroid", "tempo"),
    "beats": ("bundled_tempo",),
    "percussion": ("high_onset_level",),
    "notes": ("note_rate",),
}


def scenes(word):
    """Prompts in the vocabulary of the tiny checkpoints."""
    return tuple(
        f"a {word} {kind}{' and' * i}" for i in range(10) for kind in ("folk tune", "piano piece")
    )


def record(name, rng):
    """Planted values of a group."""
    found = {one: value(100 * rng.uniform(0.9, 1.1)) for one in NUMBERS.get(name, ())}
    if name == "signal":
        found |= {"faulty": bool(rng.uniform() < 0.2), "faults": []}
    if name == "clap":
        row = rng.normal(size=DIMENSIONS)
        found |= {"embedding": (row / np.linalg.norm(row)).tolist(), "embedder": "planted"}
        found |= {"clap_score": value(rng.uniform()), "clap_score_other_text": value(0.1)}
    if name == "tags":
        found |= {"tags": {one: float(rng.uniform(0.05, 0.95)) for one in TAGS}}
    if name == "notes":
        found |= {"notes": [[0.0, 1.0, float(rng.integers(60, 72))]]}
    if name == "chroma":
        found |= {"chroma": [], "mean_chroma": rng.uniform(size=12).tolist()}
    return found


def planted(name):
    """A group whose values are functions of the audio."""

    def measure(requests):
        levels = (float(np.abs(one.clip.samples).mean()) for one in requests)
        return [record(name, np.random.default_rng(int(x * 1e9) % 2**32)) for x in levels]

    return lambda: Group(name, "planted", name == "clap", measure)


LABELS = {
    "pocket": ("genre", list(STYLES)),
    "notes": ("root_note_name", ["C", "F#", "A"]),
    "tempos": ("bpm", list(range(60, 180, 5))),
}


def render(recipe, folder, *, clips, seed=0, **_):
    """Write a corpus of a recipe, with its labels in turn."""
    if (folder / "metadata.csv").is_file():
        return
    folder.mkdir(parents=True)
    column, labels = LABELS[recipe]
    with (folder / "metadata.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file_name", column, "track"])
        for index in range(clips):
            writer.writerow([f"{index}.wav", labels[index % len(labels)], index])
            write_noise(folder / f"{index}.wav", 4.0, [seed, index])


def pairs_of_clips(count, first_seed=0):
    """Loud noise in place of pieces with drums, and slow waves in place of those without."""
    rng, time = np.random.default_rng(first_seed % 97), np.arange(3 * RATE) / RATE
    loud = [1e4 * rng.standard_normal(len(time)) for _ in range(count)]
    slow = [1e4 * np.sin(2 * np.pi * rng.uniform(20, 60) * time) for _ in range(count)]
    return tuple(
        [Clip(one[None].astype(np.float32), RATE) for one in side] for side in (loud, slow)
    )


def plant(patch: pytest.MonkeyPatch) -> None:
    """Replace prompts, rendering, texts and measures."""

    def pair(name):
        return PromptPair(name, scenes("fast"), scenes("slow"), "more", "less")

    patch.setattr(materials, "load_pair", pair)
    patch.setattr(prompts, "neutral", lambda: ("a jazz tune", *scenes("calm")))
    patch.setattr(
        prompts, "held_out", lambda: (*scenes("soft")[:1], "a flute tune", *scenes("loud"))
    )
    for module in (examples, materials):
        patch.setattr(module, "drum_pairs", pairs_of_clips)
    for module in (materials, note_probes):
        patch.setattr(module, "render_corpus", render)
    patch.setattr(materials, "rendering_fault", lambda: None)
    patch.setattr(LabelTexts, "of", texts_of)
    patch.setattr(shelf, "CORNER", 400.0)  # takes of 1600 Hz
    patch.setattr(processing, "gain_for_centroid", lambda clips, target: 3.0)
    for name in (*NUMBERS, "clap", "tags", "chroma"):
        patch.setitem(LOADERS, name, planted(name))
