"""Takes -> what librosa and the embedded ears say of them, one dict a take, safe for JSON.

    tempo, onset_rate, brightness, loudness, faults     by librosa and pyloudnorm, no ears in them
    embedded_tempo     the same measure by the embedded beats
    text_agreement     cosine with the text that the take was asked for, by the embedded judge
    others_agreement   the same take with another take's text: what agreement is worth without being asked
    embedding          the judge's unit row, for Fréchet and kernel distance; None for silence

The ears cost about as much time as the music, so they can listen in processes of their own while the next batch is made.
"""

import hashlib
import signal
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

from tonearm.audio import Clip
from tonearm.evaluators.base import AudioTextEmbedder, BeatTracker, described, embed_sounding
from tonearm.evaluators.librosa_tracker import LibrosaTracker
from tonearm.evaluators.load import bundled_tracker_file, load_clap, load_tracker
from tonearm.measures import faults, measure_loudness, measure_onset_rate, measure_spectral_centroid, measure_tempo

DECIMALS = 6  # of an embedding that is stored


@dataclass(frozen=True)
class Ears:
    judge: AudioTextEmbedder
    tracker: BeatTracker


@dataclass(frozen=True)
class Heard:
    """A take, the text it was asked for, and another take's text."""

    clip: Clip
    text: str
    other_text: str


def open_ears() -> Ears:
    return Ears(load_clap("embedded"), load_tracker("embedded"))


def fingerprint_of(ears: Ears) -> str:
    """What must not change under a study that goes on."""
    beats = hashlib.sha256(bundled_tracker_file().read_bytes()).hexdigest()
    return f"judge {ears.judge.fingerprint[:8]} beats {beats[:8]}"


def listen(takes: Sequence[Heard], ears: Ears) -> list[dict[str, Any]]:
    """A dict for each take. Raises TonearmError for a text of which the judge knows no word."""
    for text in {take.text for take in takes}:
        ears.judge.check_words(text)
    rows = embed_sounding([take.clip for take in takes], ears.judge)
    asked = ears.judge.embed_texts([take.text for take in takes])
    others = ears.judge.embed_texts([take.other_text for take in takes])
    return [
        {
            **describe_briefly(take.clip),
            "embedded_tempo": measure_tempo(take.clip, ears.tracker).to_dict(),
            "text_agreement": None if row is None else float(row @ text),
            "others_agreement": None if row is None else float(row @ other),
            "judge": described(ears.judge),
            "embedding": None if row is None else [round(float(x), DECIMALS) for x in row],
        }
        for take, row, text, other in zip(takes, rows, asked, others, strict=True)
    ]


def describe_briefly(clip: Clip) -> dict[str, Any]:
    """What the study tells of a take without ears: a quarter of the time of `tonearm.measures.describe`."""
    measured = (measure_onset_rate(clip), measure_spectral_centroid(clip), measure_loudness(clip))
    return {
        "tempo": measure_tempo(clip, LibrosaTracker()).to_dict(),
        **{one.name: one.to_dict() for one in measured},
        "faults": list(faults(clip)),
    }


def listen_aside(batches: Iterable[Sequence[Heard]], workers: int) -> Iterator[list[dict[str, Any]]]:
    """`listen` to each batch, in order: in `workers` processes that are at most one batch each behind, or in this one for 0."""
    if not workers:
        ears = open_ears()
        yield from (listen(batch, ears) for batch in batches)
        return
    waiting: deque[Future[list[dict[str, Any]]]] = deque()
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _open_in_worker)
    try:
        for batch in batches:
            waiting.append(pool.submit(_listen_in_worker, batch))
            while len(waiting) > workers or (waiting and waiting[0].done()):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


_ears: Ears | None = None  # of a worker


def _open_in_worker() -> None:
    import torch
    import transformers

    global _ears
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's; it ends its workers
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    _ears = open_ears()


def _listen_in_worker(takes: Sequence[Heard]) -> list[dict[str, Any]]:
    assert _ears is not None  # the initializer ran
    return listen(takes, _ears)
