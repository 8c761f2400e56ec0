"""Protocols of evaluators: embedders of audio, embedders of audio and text, taggers,
transcribers, beat trackers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from tonearm import boundary
from tonearm.audio import Clip
from tonearm.frame_levels import is_sounding


class Embedder(Protocol):
    """Maps each clip to one embedding."""

    @property
    def name(self) -> str:
        """Name of the network, for the protocol of every number."""
        ...

    @property
    def windows(self) -> str:
        """Reduction of a clip of any length to one row, such as "10-s windows averaged"."""
        ...

    @property
    def fingerprint(self) -> str:
        """Identifier of weights and settings; key of the embedding cache."""
        ...

    def embed(self, clips: Sequence[Clip]) -> np.ndarray:
        """Embed each clip: float32 [n, D]."""
        ...


class AudioTextEmbedder(Embedder, Protocol):
    """Maps clips and texts into one space."""

    @property
    def logit_scale(self) -> float:
        """Factor on cosines before a softmax."""
        ...

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Embed each text: unit rows, float32 [n, D]."""
        ...

    def check_words(self, text: str) -> None:
        """Raise TonearmError for a text without a word in the vocabulary."""
        ...


class Tagger(Protocol):
    """Predicts the probabilities of tags that do not exclude each other."""

    @property
    def name(self) -> str: ...

    @property
    def fingerprint(self) -> str:
        """Identifies its weights."""
        ...

    @property
    def training_data(self) -> str:
        """Name of the data that it was trained on, for the protocol of every number."""
        ...

    @property
    def windows(self) -> str:
        """Reduction of a clip of any length to one row, such as "3-s windows averaged"."""
        ...

    @property
    def tags(self) -> tuple[str, ...]: ...

    @property
    def min_seconds(self) -> float:
        """Length of the shortest clip."""
        ...

    def tag(self, clip: Clip) -> np.ndarray:
        """Compute the probabilities of the tags in each window: float32 [B, tags]."""
        ...


@dataclass(frozen=True)
class Note:
    """A note: start and end in seconds, pitch as MIDI number."""

    start: float
    end: float
    pitch: int


class Transcriber(Protocol):
    """Finds the notes of a clip."""

    @property
    def name(self) -> str: ...

    @property
    def settings(self) -> str:
        """Thresholds of a note, for the protocol of every number."""
        ...

    def transcribe(self, clip: Clip) -> list[Note]:
        """Find the notes, by start."""
        ...


class BeatTracker(Protocol):
    """Finds the beats of a clip."""

    @property
    def name(self) -> str: ...

    def track(self, clip: Clip) -> np.ndarray:
        """Find beat times in seconds: float64 [beats], strictly increasing, possibly empty."""
        ...


@runtime_checkable
class EnvelopeTracker(Protocol):
    """Beat tracker that needs only the onset envelope, which a caller may have computed already."""

    @property
    def name(self) -> str: ...

    def track(self, clip: Clip) -> np.ndarray: ...

    def track_envelope(self, envelope: np.ndarray, seconds: float) -> np.ndarray:
        """Find beat times in seconds, as `track`.

        Args:
            envelope: of `tonearm.onset_envelope`, float32 [F].
            seconds: length of the clip.
        """
        ...


def as_clip(value: object, name: str) -> Clip:
    """Return a clip. Raises TonearmError for another type."""
    return boundary.instance(value, name, Clip, "a Clip")


def as_clips(value: object, name: str) -> list[Clip]:
    """Return a list of clips. Raises TonearmError for another type."""
    return boundary.sequence(value, name, as_clip, "a list of clips")


def as_embedder(value: Any, name: str) -> Embedder:
    """Return an embedder. Raises TonearmError for an object without `embed`."""
    allowed = "an embedder, with a method embed(clips)"
    return boundary.having(value, name, ("embed",), allowed)


def as_text_embedder(value: Any, name: str) -> AudioTextEmbedder:
    """Return an embedder of clips and texts. Raises TonearmError for another object."""
    allowed = "a CLAP evaluator, such as that of `load_clap()`"
    return boundary.having(value, name, ("embed", "embed_texts", "check_words"), allowed)


def as_tagger(value: Any, name: str) -> Tagger:
    """Return a tagger. Raises TonearmError for an object without `tag`."""
    return boundary.having(value, name, ("tag",), "a tagger, with a method tag(clip)")


def as_transcriber(value: Any, name: str) -> Transcriber:
    """Return a transcriber. Raises TonearmError for an object without `transcribe`."""
    allowed = "a transcriber, with a method transcribe(clip)"
    return boundary.having(value, name, ("transcribe",), allowed)


def as_tracker(value: Any, name: str) -> BeatTracker:
    """Return a beat tracker. Raises TonearmError for an object without `track`."""
    return boundary.having(value, name, ("track",), "a beat tracker, with a method track(clip)")


def describe_embedder(embedder: Embedder) -> str:
    """Name an embedder and its windows, for protocols."""
    return f"{embedder.name}, {embedder.windows}"


def embed_sounding(clips: Sequence[Clip], embedder: Embedder) -> list[np.ndarray | None]:
    """Embed the clips that have sound.

    Returns:
        One float64 [D] per clip; None for a silent clip, whose embedding would have no meaning.
    """
    sounding = [index for index, clip in enumerate(clips) if is_sounding(clip)]
    rows: list[np.ndarray | None] = [None] * len(clips)
    if sounding:
        embedded = embedder.embed([clips[index] for index in sounding])
        for index, row in zip(sounding, embedded, strict=True):
            rows[index] = row.astype(np.float64)
    return rows
