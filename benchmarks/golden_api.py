"""Calls of golden.py that differ between releases: batches, live changes, measures."""

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np

from tonearm.analysis.clusters import measure_clusters
from tonearm.audio import Clip
from tonearm.evaluators.cache import CachedClap
from tonearm.evaluators.embedding_set import EmbeddingSet
from tonearm.evaluators.load import load_clap, load_tracker
from tonearm.generation.request import TakeRequest
from tonearm.generation.stream import Stream
from tonearm.generation.take import Take
from tonearm.measures import (
    describe,
    measure_clap_score,
    measure_fad,
    measure_kad,
    measure_tempo,
    measure_zero_shot,
    train_classifier,
)
from tonearm.model import Model
from tonearm.musicgen.sampling import Sampling
from tonearm.steering import Steering, SteeringVector

AUDIO_POSITIONS = "audio"  # of a steer that edits the audio prompt too
Case = tuple[
    str, int, Steering, Sampling | None, float
]  # prompt, seed, steering, sampling, seconds
# Names of measures now -> names in golden.json
RENAMED = {"spectral_rolloff": "rolloff"}


def _rows(cases: Sequence[Case]) -> list[TakeRequest]:
    return [
        TakeRequest(text, seed, steering, sampling, seconds=seconds)
        for text, seed, steering, sampling, seconds in cases
    ]


def generate_mixed(model: Model, cases: Sequence[Case]) -> list[Take]:
    """In the order of the cases, as one batch."""
    return list(model.generate_batch(_rows(cases), batch_size=len(cases)))


def generate_completed(model: Model, cases: Sequence[Case]) -> list[tuple[int, Take]]:
    """As they complete, in batches that fit the memory."""
    return list(model.generate_batch(_rows(cases), memory_gib=2.0, order="completion"))


def play(stream: Stream, changes: dict[int, tuple[str, float]] | None = None) -> Take:
    """Play to the end; `changes` (target, value) are set after that many frames."""
    waiting = dict(changes or {})
    for chunks, _ in enumerate(stream, start=1):
        for frames in [frames for frames in waiting if chunks * 5 >= frames]:
            target, value = waiting.pop(frames)
            if target == "guidance":
                stream.set_guidance(value)
            else:
                stream.set_strength(target, value)
    return stream.take


def steer_vector(model: Model, name: str, site: str) -> SteeringVector:
    """The vector's directions at another site."""
    vector = model.vectors[name]
    info = vector.info.model_copy(update={"site": site, "name": f"{name} at {site}"})
    return SteeringVector(vector.directions, info)


def measure_everything(clip: Clip) -> dict[str, Any]:
    """Every measure of one clip, by name."""
    found = describe(clip)
    values: dict[str, Any] = {
        RENAMED.get(one.name, one.name): one.value for one in found.measurements
    }
    values["faults"] = list(found.faults)
    values["beats"] = [round(beat, 6) for beat in found.tempo.beats]
    by_bundled = measure_tempo(clip, load_tracker("bundled"))
    values |= {f"embedded {one.name}": one.value for one in by_bundled.measurements}
    clap = _clap()
    values["clap_score"] = measure_clap_score(clip, clap, "a folk tune with flute").value
    zero_shot = measure_zero_shot(clip, clap, ("jazz", "folk", "latin"))
    values["zero_shot"] = zero_shot.probabilities and dict(zero_shot.probabilities)
    return values


def measure_sets(first: Sequence[Clip], second: Sequence[Clip]) -> dict[str, Any]:
    """Distances, clusters and a classifier of two sets."""
    clap = _clap()
    ours = EmbeddingSet.of_clips(first, clap, "first")
    theirs = EmbeddingSet.of_clips(second, clap, "second")
    rows = np.concatenate([ours.rows, theirs.rows])
    labels = ["first"] * len(first) + ["second"] * len(second)
    clusters = measure_clusters(rows, labels, "golden")
    classifier = train_classifier("golden", rows, labels, [str(i) for i in range(len(rows))], clap)
    return {
        "embeddings": hashlib.sha256(np.round(rows, 5).tobytes()).hexdigest()[:16],
        "fad": measure_fad(ours, theirs).value,
        "kad": measure_kad(ours, theirs).value,
        "ari": clusters.ari,
        "nmi": clusters.nmi,
        "classifier": [round(float(x), 6) for x in classifier.probabilities(rows)[:, 0]],
    }


@cache
def _clap() -> CachedClap:
    return CachedClap(load_clap(), Path(mkdtemp()))
