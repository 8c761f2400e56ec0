"""Audio to codes and back by a checkpoint's EnCodec.

A clip of up to PIECE_SECONDS is decoded at once; a longer one in pieces, so that memory does not
grow with its length.
"""

from typing import Any

import torch

from tonearm.audio import Clip, check_audible
from tonearm.musicgen.checkpoint import Checkpoint
from tonearm.musicgen.streaming_codec import StreamingCodec, can_stream, exact_convolutions

PIECE_SECONDS = 30  # the longest window of a released checkpoint


@torch.no_grad()
def encode_audio(checkpoint: Checkpoint, clip: Clip) -> torch.Tensor:
    """Codes of an audio prompt, int64 [K, T]; stereo checkpoints alternate left and right books.

    Raises:
        TonearmError: the clip is shorter than a frame, silent or not finite.
    """
    shape, codec = checkpoint.shape, checkpoint.model.audio_encoder
    check_audible(clip, "the audio prompt", 1 / shape.frame_rate, shape.channels)
    received = clip.resampled(shape.sample_rate).with_channels(shape.channels)
    samples = torch.from_numpy(received.samples)[:, None]  # [C, 1, N]
    samples = samples.to(checkpoint.device, codec.dtype)
    books = shape.codebooks // shape.channels
    bandwidths = sorted(codec.config.target_bandwidths)
    bandwidth = next(one for one in bandwidths if _books(codec, one) >= books)
    with exact_convolutions(checkpoint.device):
        encoded = codec.encode(samples, bandwidth=bandwidth)
    codes = encoded.audio_codes[0][:, :books]  # [C, K / C, T]
    return codes.transpose(0, 1).reshape(shape.codebooks, -1)


@torch.no_grad()
def decode_codes(checkpoint: Checkpoint, codes: torch.Tensor) -> Clip:
    """Audio of codes [K, T]."""
    shape = checkpoint.shape
    with exact_convolutions(checkpoint.device):
        if codes.shape[1] <= frames_at_once(checkpoint, codes.shape[1]):
            samples = _decode_whole(checkpoint, codes)
        else:
            samples = _decode_in_pieces(checkpoint, codes)
    return Clip(samples.numpy(), shape.sample_rate)


def frames_at_once(checkpoint: Checkpoint, frames: int) -> int:
    """Frames of a clip of `frames` that are decoded together."""
    if not can_stream(checkpoint):
        return frames
    return min(frames, PIECE_SECONDS * checkpoint.shape.frame_rate)


def _decode_whole(checkpoint: Checkpoint, codes: torch.Tensor) -> torch.Tensor:
    """Samples [C, N] of codes [K, T]."""
    codec, codes = checkpoint.model.audio_encoder, codes.to(checkpoint.device)
    channels = [codes] if checkpoint.shape.channels == 1 else [codes[::2], codes[1::2]]
    # Through the class: the reference engine replaces `decode` on the instance while it runs.
    samples = [
        type(codec).decode(codec, part[None, None], [None]).audio_values[0, 0] for part in channels
    ]
    return torch.stack(samples).float().cpu()


def _decode_in_pieces(checkpoint: Checkpoint, codes: torch.Tensor) -> torch.Tensor:
    """Samples [C, N] of codes [K, T]."""
    codec = StreamingCodec(checkpoint)
    pieces = codes.split(PIECE_SECONDS * checkpoint.shape.frame_rate, dim=1)
    return torch.cat([codec.push(one, last=one is pieces[-1]) for one in pieces], dim=1)


def _books(codec: Any, bandwidth: float) -> int:
    return codec.quantizer.get_num_quantizers_for_bandwidth(bandwidth)
