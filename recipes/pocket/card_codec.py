"""Rows of pocket's model card on the codec, from held-out pieces as rendered and as decoded."""

from collections.abc import Iterable

import numpy as np

from recipes.pocket.card_rows import Rows
from recipes.pocket.codec_metrics import centroid_error
from recipes.pocket.evaluate import TEMPO, chroma_correlation, is_same_tempo, with_noise
from tonearm.audio import Clip
from tonearm.evaluators.load import load_tracker
from tonearm.measures import measure_tempo

TEMPO_PIECES = 200  # the first of all, since the trackers are slow
NOISE_DECIBELS = -40

TempoPair = tuple[float | None, float | None]  # BPM of the piece and of its copy


def codec_rows(pairs: Iterable[tuple[Clip, Clip]]) -> Rows:
    """Compare pieces as rendered and as decoded.

    Args:
        pairs: rendered and decoded audio of each piece.

    Returns:
        Rows of the table; as a control, white noise in place of the codec.
    """
    trackers = {name: load_tracker(name) for name in TEMPO}
    tempos: dict[tuple[str, str], list[TempoPair]] = {}
    errors, chroma = [], []
    for i, (original, decoded) in enumerate(pairs):
        errors.append(centroid_error(original, decoded))
        chroma.append(chroma_correlation(original, decoded))
        if i >= TEMPO_PIECES:
            continue
        noisy = with_noise(original, NOISE_DECIBELS, seed=i)
        for name, tracker in trackers.items():
            before = measure_tempo(original, tracker).bpm
            for copy, clip in (("decoded", decoded), ("noisy", noisy)):
                pair = (before, measure_tempo(clip, tracker).bpm)
                tempos.setdefault((name, copy), []).append(pair)
    n = f"n = {len(errors)} held-out pieces"
    of_tempo = f"n = {min(len(errors), TEMPO_PIECES)}"
    return [
        (
            f"codec: mean correlation of chroma, original and decoded, {n}",
            f"{np.mean(chroma):.2f}",
            ">= 0.9",
        ),
        (
            f"codec: median error of the spectral centroid, {n}",
            f"{np.median(errors):.1%}",
            "<= 5 %",
        ),
        *(
            (
                f"codec: same tempo (within 4 %) before and after / in any octave, "
                f"{name}, {of_tempo}",
                unchanged(tempos[name, "decoded"]),
                "98 %",
            )
            for name in trackers
        ),
        *(
            (
                f"control: white noise at {NOISE_DECIBELS} dB instead of the codec, {name}",
                unchanged(tempos[name, "noisy"]),
                "",
            )
            for name in trackers
        ),
    ]


def unchanged(pairs: list[TempoPair]) -> str:
    """Shares of pieces with an unchanged tempo: strictly, and in any octave."""
    shares = [np.mean([is_same_tempo(*pair, octave) for pair in pairs]) for octave in (False, True)]
    return " / ".join(f"{share:.0%}" for share in shares)
