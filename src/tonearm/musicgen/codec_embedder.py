"""Embedding of clips by a checkpoint's own EnCodec: free, and circular.

A checkpoint's takes are decoded by this codec, so its embedding is blind to whatever the codec
cannot represent. Its name says so beside every number. The embedding is the encoder's output before
quantisation, averaged over the frames of the whole clip.
"""

from collections.abc import Sequence

import numpy as np
import torch

from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.musicgen.checkpoint import Checkpoint


class CodecEmbedder:
    """An `Embedder` (tonearm/evaluators/base.py)."""

    windows = "frames of the whole clip averaged"

    def __init__(self, checkpoint: Checkpoint) -> None:
        shape = checkpoint.shape
        self.name = f"EnCodec of {shape.public_name} (circular: the codec that decodes its takes)"
        self.fingerprint = f"encodec {shape.fingerprint}"
        self.checkpoint = checkpoint

    def embed(self, clips: Sequence[Clip]) -> np.ndarray:
        """Embed clips; float32 [n, D]. Raises TonearmError for an empty or non-finite clip."""
        return np.stack([self._embed(clip) for clip in clips])

    def _embed(self, clip: Clip) -> np.ndarray:
        rate = self.checkpoint.shape.sample_rate
        mono = Clip(clip.mono, clip.sample_rate).resampled(rate).samples
        if not mono.size or not np.isfinite(mono).all():
            raise TonearmError(
                "a clip without samples, or with NaN or infinite ones, cannot be embedded; leave it out"
            )
        encoder = self.checkpoint.model.audio_encoder.encoder
        dtype = next(encoder.parameters()).dtype
        with torch.inference_mode():
            frames = encoder(torch.from_numpy(mono)[None].to(self.checkpoint.device, dtype))
        return frames[0].mean(-1).float().cpu().numpy()  # [D, T] -> [D]
