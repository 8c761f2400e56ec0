"""Capture of activations from given audio: codec codes, read in one teacher-forced pass.

    segment ─ codec ─► codes ─ BOS, delay pattern ─► one forward pass ─ taps ─► rows per site and layer

Segments have one length, so that a batch has no padding and positions compare. Without a text, the
conditioning is the null text, as in the unconditional rows of guidance; a prefix checkpoint reads
the null chroma in both cases. A text is shared by all segments: one that differed with the label
would be read off in place of the audio.

Shapes: B segments of a batch; n rows of a segment; L layers; D width; T frames.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from tonearm.activations.audio_pooling import AudioPooling, SpanPool, audio_pooling
from tonearm.activations.capture import padded_lengths
from tonearm.audio import Clip
from tonearm.backend import SITES, ModelShape, Site
from tonearm.datasets.recordings import SegmentFormat
from tonearm.errors import TonearmError
from tonearm.musicgen.checkpoint import Checkpoint
from tonearm.musicgen.codec import encode_audio
from tonearm.musicgen.conditioning import condition
from tonearm.musicgen.engine import Engine, whole_positions
from tonearm.musicgen.memory_estimate import BatchShape, memory_budget, rows_that_fit
from tonearm.text import is_blank

SEGMENT_SECONDS = 10.0  # Panda et al. 2025, IV-B2
MAX_BATCH = 8  # segments; more are hardly faster, and a large checkpoint needs 0.4 GiB for each


@dataclass(frozen=True)
class AudioSpec:
    """Activations to capture from audio, all sites in one pass.

    sites            one or more
    pooling          see tonearm/activations/audio_pooling.py
    segment_seconds  default: 10, or the checkpoint's window where that is shorter
    text             read with every segment; default: the null text
    batch_size       segments per pass; default: up to MAX_BATCH, as many as fit
    """

    sites: tuple[Site, ...] = ("residual",)
    pooling: str = "last"
    segment_seconds: float | None = None
    text: str | None = None
    batch_size: int | None = None

    def frames(self, shape: ModelShape) -> int:
        """Frames T of a segment."""
        seconds = self.segment_seconds
        if seconds is None:
            seconds = min(SEGMENT_SECONDS, shape.window_seconds)
        # Infinite and huge numbers are refused like other lengths beyond the window.
        return round(min(seconds, 2 * shape.window_seconds) * shape.frame_rate)

    def format(self, shape: ModelShape) -> SegmentFormat:
        """Form of the segments that the codec reads."""
        hop = shape.sample_rate // shape.frame_rate
        return SegmentFormat(shape.sample_rate, shape.channels, hop * self.frames(shape), hop)

    def positions(self, shape: ModelShape) -> AudioPooling:
        """Positions of the pooling."""
        return audio_pooling(self.pooling, shape, self.frames(shape))

    def resolved(self, checkpoint: Checkpoint) -> "AudioSpec":
        """Fill in defaults and check against a checkpoint.

        Raises:
            TonearmError: a site, pooling, length, text or batch size that is not possible.
        """
        shape = checkpoint.shape
        for site in self.sites:
            shape.check_site(site)
        if not self.sites or len(set(self.sites)) < len(self.sites):
            raise TonearmError(
                f"sites {', '.join(self.sites) or '(none)'} are not possible; "
                f"use each once, of {', '.join(SITES)}"
            )
        seconds = self.segment_seconds
        shortest = (shape.delay_frames + 1) / shape.frame_rate
        is_length = seconds is None or 0 < seconds <= shape.window_seconds
        if not is_length or not whole_positions(shape, self.frames(shape)):
            raise TonearmError(
                f"segments of {seconds:g} s are not possible; "
                f"use {shortest:g} to {shape.window_seconds:g} s"
            )
        if self.text is not None and is_blank(self.text):
            raise TonearmError("the text is empty; describe music in it, or leave it out")
        if self.text is None and "cross_attention" in self.sites:
            raise TonearmError(
                "cross_attention is exactly 0 without a text; give a text, or leave the site out"
            )
        if self.text is not None:
            padded_lengths(checkpoint, [self.text])
        if self.batch_size is not None and self.batch_size < 1:
            raise TonearmError(f"batch size {self.batch_size} is not possible; use 1 or more")
        self.positions(shape)
        exact = self.frames(shape) / shape.frame_rate
        return replace(
            self, segment_seconds=exact, batch_size=self.batch_size or _fitting(checkpoint, self)
        )


def _fitting(checkpoint: Checkpoint, spec: AudioSpec) -> int:
    """Segments that fit half of the free memory, MAX_BATCH at most."""
    frames = spec.frames(checkpoint.shape)
    batch = BatchShape(MAX_BATCH, False, frames, frames, known_frames=frames)
    return rows_that_fit(checkpoint, batch, memory_budget(checkpoint))


def capture_segments(
    engine: Engine, clips: Sequence[Clip], spec: AudioSpec
) -> dict[Site, torch.Tensor]:
    """Capture one batch of segments.

    Args:
        engine: to run.
        clips: segments in the form that `spec.format` gives.
        spec: resolved.

    Returns:
        Rows float32 [B, n, L, D] by site, on the CPU.
    """
    checkpoint, shape = engine.checkpoint, engine.checkpoint.shape
    codes = torch.stack([encode_audio(checkpoint, clip) for clip in clips])
    conditioning = condition(checkpoint, [spec.text] * len(clips), guided=False)
    spans = spec.positions(shape).spans
    places = [(site, layer) for site in spec.sites for layer in range(shape.layer_count)]
    pools = {place: SpanPool(conditioning, spans) for place in places}
    engine.read(conditioning, {place: [pool] for place, pool in pools.items()}, codes)
    found: dict[Site, torch.Tensor] = {}
    for site in spec.sites:
        layers = [pools[site, layer].rows for layer in range(shape.layer_count)]
        assert all(rows is not None for rows in layers), "a tap was never reached"
        found[site] = torch.stack(layers, dim=2).cpu()  # type: ignore[arg-type]
    return found
