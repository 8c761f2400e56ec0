"""Measures of the effects study: one dictionary per take, in strict JSON.

    tempo, tempo_median, beat_regularity, tempo_confidence     by librosa's beats
    onset_rate, onset_rate_superflux, spectral_centroid, loudness   without an evaluator
    pulse_clarity, held_tone, held_share, static               likewise
    faulty, faults             whether the take has any fault, and the reasons
    bundled_tempo              tempo by the bundled beat tracker
    clap_score                 cosine with the take's own text, by the bundled CLAP
    clap_score_other_text      cosine with another take's text, the control
    embedding                  unit row of the bundled CLAP, for FAD and KAD; None for silence
    tags                       probability of each tag by musicnn; None for silence, under 3 s, and
                               where they are not asked for: they take three quarters of the time

The evaluators take about as much time as generation, so they can run in processes of their own
while the next batch is generated.
"""

import hashlib
import signal
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import numpy as np

from tonearm.audio import Clip
from tonearm.evaluators.base import (
    AudioTextEmbedder,
    BeatTracker,
    Tagger,
    describe_embedder,
    embed_sounding,
)
from tonearm.evaluators.librosa_tracker import LibrosaTracker
from tonearm.evaluators.load import (
    bundled_tracker_file,
    load_clap,
    load_tagger,
    load_tracker,
)
from tonearm.measures import ClipAnalysis, Measurement, measure_tempo
from tonearm.measures.faults import find_faults
from tonearm.measures.held_tones import HELD_TONES
from tonearm.measures.loudness import LOUDNESS
from tonearm.measures.onset_rate import ONSET_RATE
from tonearm.measures.onset_rate_superflux import ONSET_RATE_SUPERFLUX
from tonearm.measures.pulse_clarity import PULSE_CLARITY
from tonearm.measures.spectral_centroid import SPECTRAL_CENTROID
from tonearm.measures.static import STATIC
from tonearm.measures.tags import measure_tags
from tonearm.measures.tempo import TEMPO

MEASURED = (
    TEMPO,
    ONSET_RATE,
    ONSET_RATE_SUPERFLUX,
    SPECTRAL_CENTROID,
    LOUDNESS,
    PULSE_CLARITY,
    HELD_TONES,
    STATIC,
)  # by every take, without the bundled ones
DECIMALS, TAG_DECIMALS = 6, 4  # of a stored embedding, and of the probability of a tag
# measures with one number each, which a calibration can use
NUMBERS = (
    "onset_rate",
    "onset_rate_superflux",
    "spectral_centroid",
    "loudness",
    "pulse_clarity",
    "tempo",
    "bundled_tempo",
)

Measured = dict[str, Any]


@dataclass(frozen=True)
class Evaluators:
    """Bundled CLAP and bundled beat tracker, one family; and musicnn, of another."""

    clap: AudioTextEmbedder
    tracker: BeatTracker
    tagger: Tagger


@dataclass(frozen=True)
class MeasureRequest:
    """A take's audio, its own text, another take's text, and whether it is tagged."""

    clip: Clip
    text: str
    other_text: str
    tagged: bool = True


def load_evaluators() -> Evaluators:
    """Load the bundled evaluators."""
    return Evaluators(load_clap("bundled"), load_tracker("bundled"), load_tagger())


def evaluators_fingerprint(evaluators: Evaluators) -> str:
    """Identify the weights of the evaluators."""
    tracker = hashlib.sha256(bundled_tracker_file().read_bytes()).hexdigest()
    return f"clap {evaluators.clap.fingerprint[:8]} tracker {tracker[:8]}"


def measures_fingerprint() -> str:
    """Identify the definitions of the measures by their protocols."""
    texts = [f"{measure.name} {measure.unit} {measure.protocol}" for measure in MEASURED]
    return f"measures {hashlib.sha256(chr(10).join(texts).encode()).hexdigest()[:8]}"


def measure_takes(requests: Sequence[MeasureRequest], evaluators: Evaluators) -> list[Measured]:
    """Measure a batch of takes.

    Args:
        requests: the takes with their texts.
        evaluators: the bundled ones.

    Returns:
        One dictionary per take.

    Raises:
        TonearmError: a text has no word in CLAP's vocabulary.
    """
    clap = evaluators.clap
    for text in {request.text for request in requests}:
        clap.check_words(text)
    rows = embed_sounding([request.clip for request in requests], clap)
    own = clap.embed_texts([request.text for request in requests])
    others = clap.embed_texts([request.other_text for request in requests])
    embedder = describe_embedder(clap)

    def score(name: str, row: np.ndarray | None, text: np.ndarray) -> Measured:
        value = None if row is None else float(row @ text)
        return Measurement(name, value, "cosine", embedder).to_dict()

    return [
        {
            **measure_without_evaluators(request.clip),
            "bundled_tempo": measure_tempo(request.clip, evaluators.tracker).measurement.to_dict(),
            "clap_score": score("clap_score", row, text),
            "clap_score_other_text": score("clap_score_other_text", row, other),
            "embedder": embedder,
            "embedding": None if row is None else [round(float(x), DECIMALS) for x in row],
            "tags": (
                tag_probabilities(request.clip, evaluators.tagger) if request.tagged else None
            ),
        }
        for request, row, text, other in zip(requests, rows, own, others, strict=True)
    ]


def tag_probabilities(clip: Clip, tagger: Tagger) -> dict[str, float] | None:
    """Probability of each tag, rounded; None for silence and under 3 s."""
    found = measure_tags(clip, tagger).probabilities
    if found is None:
        return None
    return {tag: round(value, TAG_DECIMALS) for tag, value in found.items()}


def measure_without_evaluators(clip: Clip) -> Measured:
    """Measure a take by librosa and pyloudnorm; a part of `tonearm.measures.describe`."""
    analysis = ClipAnalysis(clip, LibrosaTracker())
    measurements = [one for measure in MEASURED for one in measure.measurements(analysis)]
    faults = find_faults(analysis)
    return {
        **{measurement.name: measurement.to_dict() for measurement in measurements},
        "faulty": bool(faults),
        "faults": faults,
    }


def measure_batches(
    batches: Iterable[Sequence[MeasureRequest]], workers: int
) -> Iterator[list[Measured]]:
    """Measure batches, in order, while the next ones are generated.

    Args:
        batches: generated when they are taken.
        workers: processes, each at most one batch behind; 0 for this process.

    Yields:
        The results of each batch.
    """
    if not workers:
        evaluators = load_evaluators()
        yield from (measure_takes(batch, evaluators) for batch in batches)
        return
    waiting: deque[Future[list[Measured]]] = deque()
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _load_in_worker)
    try:
        for batch in batches:
            waiting.append(pool.submit(_measure_in_worker, batch))
            while len(waiting) > workers or (waiting and waiting[0].done()):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


_evaluators: Evaluators | None = None  # of a worker


def _load_in_worker() -> None:
    import torch
    import transformers

    global _evaluators
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C and ends its workers
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    _evaluators = load_evaluators()


def _measure_in_worker(requests: Sequence[MeasureRequest]) -> list[Measured]:
    assert _evaluators is not None  # the initializer ran
    return measure_takes(requests, _evaluators)
