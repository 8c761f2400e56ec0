"""Arguments of wrong types at the public functions of measures, clips and evaluators: one line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.evaluators.embedders import Statistics
from tests.measures.sounds import noise
from tests.measures.test_batch import TextStatistics
from tonearm.analysis.clusters import cluster_folders, measure_clusters
from tonearm.audio import Clip
from tonearm.datasets.labelled_audio import read_corpus
from tonearm.errors import TonearmError
from tonearm.evaluators.corpora import embed_corpus, embed_files, embed_reference
from tonearm.evaluators.embedding_set import EmbeddingSet
from tonearm.measures import (
    ClapScoring,
    describe,
    fitted_bpm,
    is_right_tempo,
    load_classifier,
    measure_clap_score,
    measure_clap_scores,
    measure_classifier,
    measure_classifiers,
    measure_distances,
    measure_fad,
    measure_files,
    measure_kad,
    measure_key,
    measure_loudness,
    measure_tempo,
    measure_true_peak,
    measure_zero_shot,
    measure_zero_shots,
    median_bpm,
    register,
    save_classifier,
    tempo_accuracy,
    train_classifier,
    train_from_folders,
)

CLIP = noise(0.5)
CLAP = TextStatistics()
ROWS = np.random.default_rng(0).normal(size=(12, 3))
LABELS, TRACKS = ["fast", "slow"] * 6, list("abcdefghijkl")
CLASSIFIER = train_classifier("speed", ROWS, LABELS, TRACKS, CLAP)
SETS = {
    "clips": EmbeddingSet(ROWS, "statistics", "one"),
    "reference": EmbeddingSet(ROWS + 1, "statistics", "other"),
}
SCORED = {"clap": CLAP, "labels": ["fast", "slow"], "template": "a {}"}
NOWHERE = Path("nowhere")

# Each function with arguments that it accepts, or for which it refuses the absent file.
CHOSEN = {"label": "genre", "where": {"split": "test"}, "layout": "metadata"}
FUNCTIONS: list[tuple[Callable[..., object], dict[str, Any]]] = [
    (measure_clap_score, {"clip": CLIP, "clap": CLAP, "text": "fast"}),
    (measure_clap_scores, {"clips": [CLIP], "clap": CLAP, "texts": ["fast"]}),
    (measure_classifier, {"clip": CLIP, "classifier": CLASSIFIER, "embedder": CLAP}),
    (measure_classifiers, {"clips": [CLIP], "classifier": CLASSIFIER, "embedder": CLAP}),
    (measure_zero_shot, {"clip": CLIP, **SCORED}),
    (measure_zero_shots, {"clips": [CLIP], **SCORED}),
    (measure_distances, {**SETS, "fad": True, "kad": True, "extrapolate": False, "seed": 0}),
    (measure_fad, {**SETS, "extrapolate": False, "seed": 0}),
    (measure_kad, SETS),
    (measure_tempo, {"clip": CLIP, "tracker": None}),
    (describe, {"clip": CLIP, "tracker": None}),
    (measure_key, {"clip": CLIP}),
    (measure_loudness, {"clip": CLIP}),
    (measure_true_peak, {"clip": CLIP}),
    (median_bpm, {"beats": [0.0, 0.5, 1.0, 1.5]}),
    (fitted_bpm, {"beats": [0.0, 0.5, 1.0, 1.5]}),
    (is_right_tempo, {"estimated": 100.0, "true": 100.0, "any_octave": True}),
    (tempo_accuracy, {"estimated": [100.0], "true": [100.0]}),
    (
        train_classifier,
        {
            "name": "speed",
            "rows": ROWS,
            "labels": LABELS,
            "tracks": TRACKS,
            "embedder": CLAP,
            "seed": 0,
        },
    ),
    (
        train_from_folders,
        {"name": "speed", "folders": [NOWHERE], "embedder": CLAP, "seed": 0, **CHOSEN},
    ),
    (load_classifier, {"path": NOWHERE}),
    (save_classifier, {"classifier": CLASSIFIER, "path": Path("speed.safetensors")}),
    (ClapScoring, {**SCORED, "texts": {}, "classifiers": (CLASSIFIER,)}),
    (measure_files, {"paths": [NOWHERE], "tracker": None, "scoring": None, "progress": None}),
    (register, {"measure": None}),
    (measure_clusters, {"rows": ROWS, "labels": LABELS, "source": "rows", "seed": 0}),
    (
        cluster_folders,
        {"folders": [NOWHERE], "embedder": CLAP, "seed": 0, "progress": None, **CHOSEN},
    ),
    (read_corpus, {"folders": [NOWHERE], **CHOSEN}),
    (embed_files, {"paths": [NOWHERE], "embedder": CLAP, "progress": None}),
    (embed_corpus, {"folders": [NOWHERE], "embedder": CLAP, "progress": None, **CHOSEN}),
    (embed_reference, {"path": NOWHERE, "embedder": CLAP, "progress": None}),
    (EmbeddingSet, {"rows": ROWS, "embedder": "statistics", "source": "rows"}),
    (EmbeddingSet.of_clips, {"clips": [CLIP], "embedder": CLAP, "source": "noise"}),
    (EmbeddingSet.read, {"path": NOWHERE}),
    (Clip.read, {"path": NOWHERE}),
    (Clip.decode, {"content": b"", "name": "row 3"}),
    (CLIP.write, {"path": Path("noise.wav")}),
    (CLIP.encoded, {"suffix": ".wav"}),
    (CLIP.resampled, {"sample_rate": 16_000}),
    (CLIP.rolled, {"seconds": 0.1}),
    (CLIP.loudness_matched, {"target": -20.0, "peak": 0.9}),
    (CLIP.with_channels, {"channels": 2}),
]
WRONG = (
    3,
    10**30,
    float("nan"),
    "",
    b"x",
    [],
    [None],
    [CLIP, None],
    {"a": 1},
    object(),
    np.full(3, np.nan),
    np.zeros((2, 2)),
    1j,
    Statistics,
)


@pytest.mark.parametrize(
    ("function", "arguments"), FUNCTIONS, ids=lambda value: getattr(value, "__qualname__", "")
)
def test_arguments_of_wrong_types_are_refused_in_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    function: Callable[..., object],
    arguments: dict[str, Any],
) -> None:
    monkeypatch.chdir(tmp_path)
    refused = 0
    for name in arguments:
        for value in WRONG:
            try:
                function(**{**arguments, name: value})
            except TonearmError as error:
                refused += 1
                assert "\n" not in str(error) and len(str(error)) < 600
    assert refused >= len(arguments) * len(WRONG) / 2
