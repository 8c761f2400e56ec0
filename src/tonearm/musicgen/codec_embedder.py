"""A checkpoint's own EnCodec as an embedder: free, and circular.

What a checkpoint plays comes out of this very codec, so its embedding cannot hear what the codec cannot say, and flatters it. Its name says so
wherever its numbers appear. An embedding is the encoder's output before quantisation, averaged over the frames of the whole clip.
"""

from collections.abc import Sequence

import numpy as np
import torch

from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.musicgen.checkpoint import Checkpoint, folder_of


class CodecEmbedder:
    """Satisfies `tonearm.measures.Embedder`."""

    windows = "frames of the whole clip averaged"

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.name = f"EnCodec of {folder_of(checkpoint.name)} (circular: the codec that makes its takes)"
        self.fingerprint = f"encodec {checkpoint.fingerprint}"
        self.checkpoint = checkpoint

    def embed(self, clips: Sequence[Clip]) -> np.ndarray:
        """float32 [n, D]. Raises TonearmError for a clip without samples or with some that are not finite."""
        return np.stack([self._embed(clip) for clip in clips])

    def _embed(self, clip: Clip) -> np.ndarray:
        mono = Clip(clip.mono, clip.sample_rate).resampled(self.checkpoint.sample_rate).samples
        if not mono.size or not np.isfinite(mono).all():
            raise TonearmError(
                "a clip without samples, or with some that are NaN or infinite, cannot be embedded; leave it out"
            )
        encoder = self.checkpoint.model.audio_encoder.encoder
        with torch.inference_mode():
            frames = encoder(
                torch.from_numpy(mono)[None].to(self.checkpoint.device, next(encoder.parameters()).dtype)
            )  # [1, D, T]
        return frames[0].mean(-1).float().cpu().numpy()
