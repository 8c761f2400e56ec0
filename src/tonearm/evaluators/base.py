"""Protocols of evaluators: embedders of audio, embedders of audio and text, beat trackers."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from tonearm.audio import Clip
from tonearm.frame_levels import is_sounding


class Embedder(Protocol):
    """Clips -> rows."""

    @property
    def name(self) -> str:
        """Who embeds, as it stands beside every number."""
        ...

    @property
    def windows(self) -> str:
        """How clips of any length become one row each, such as "10-s windows averaged"."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes whenever rows would: weights and settings. The cache goes by it."""
        ...

    def embed(self, clips: Sequence[Clip]) -> np.ndarray:
        """One row for each clip, float32 [n, D]."""
        ...


class AudioTextEmbedder(Embedder, Protocol):
    """Puts clips and texts into one space."""

    @property
    def logit_scale(self) -> float:
        """What cosines are multiplied by before a softmax."""
        ...

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Unit rows, float32 [n, D]."""
        ...

    def check_words(self, text: str) -> None:
        """Raise TonearmError for a text that says nothing to this judge."""
        ...


def embed_sounding(clips: Sequence[Clip], embedder: Embedder) -> list[np.ndarray | None]:
    """A row float64 [D] for each clip; None for those with nothing to hear, which a judge would score all the same."""
    heard = [index for index, clip in enumerate(clips) if is_sounding(clip)]
    rows: list[np.ndarray | None] = [None] * len(clips)
    if heard:
        for index, row in zip(heard, embedder.embed([clips[index] for index in heard]), strict=True):
            rows[index] = row.astype(np.float64)
    return rows


class BeatTracker(Protocol):
    """Anything with a name that finds beats in a clip."""

    @property
    def name(self) -> str: ...

    def track(self, clip: Clip) -> np.ndarray:
        """Beat times in seconds, float64 [beats], strictly increasing; empty where there are none."""
        ...


def described(embedder: Embedder) -> str:
    """An embedder's name and windows, for protocols."""
    return f"{embedder.name}, {embedder.windows}"
