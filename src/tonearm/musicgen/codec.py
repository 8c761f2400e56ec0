"""Audio to codes and back by a checkpoint's EnCodec, whole clips at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

import torch

from tonearm.audio import Clip, check_audible
from tonearm.musicgen.checkpoint import Checkpoint

_cudnn_flags = Lock()  # the flags of cuDNN are those of the process


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
    with _repeatable(checkpoint.device):
        encoded = codec.encode(samples, bandwidth=bandwidth)
    codes = encoded.audio_codes[0][:, :books]  # [C, K / C, T]
    return codes.transpose(0, 1).reshape(shape.codebooks, -1)


@torch.no_grad()
def decode_codes(checkpoint: Checkpoint, codes: torch.Tensor) -> Clip:
    """Audio of codes [K, T]."""
    codec = checkpoint.model.audio_encoder
    codes = codes.to(checkpoint.device)
    channels = [codes] if checkpoint.shape.channels == 1 else [codes[::2], codes[1::2]]
    # Through the class: the reference engine replaces `decode` on the instance while it runs.
    with _repeatable(checkpoint.device):
        samples = [
            type(codec).decode(codec, part[None, None], [None]).audio_values[0, 0]
            for part in channels
        ]
    return Clip(torch.stack(samples).float().cpu().numpy(), checkpoint.shape.sample_rate)


def _books(codec: Any, bandwidth: float) -> int:
    return codec.quantizer.get_num_quantizers_for_bandwidth(bandwidth)


@contextmanager
def _repeatable(device: torch.device) -> Iterator[None]:
    """Use only deterministic algorithms of cuDNN.

    Its default half-precision convolutions differ in the last bit from call to call, so that a
    take would not replay.
    """
    if device.type != "cuda":
        yield
        return
    with _cudnn_flags:
        before = torch.backends.cudnn.deterministic
        torch.backends.cudnn.deterministic = True
        try:
            yield
        finally:
            torch.backends.cudnn.deterministic = before
