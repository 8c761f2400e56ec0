"""Audio to codes and back by a checkpoint's EnCodec.

A clip of up to PIECE_SECONDS is decoded at once; a longer one in pieces, so that memory does not
grow with its length. Clips of equal length are decoded several at a time where that is faster: the
last bits of a clip then depend on their number and on its place among them, and not on the others.

Shapes: n rows; K codebooks; T frames; C channels; N samples.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from tonearm.audio import Clip, check_audible
from tonearm.musicgen.checkpoint import Checkpoint
from tonearm.musicgen.streaming_codec import StreamingCodec, can_stream, exact_convolutions

PIECE_SECONDS = 30  # the longest window of a released checkpoint
CODEC_COPIES = 5  # of the last stage's widest signal


@dataclass(frozen=True)
class CodecLimit:
    """Most rows that are decoded together, and most bytes for them; one row is always possible."""

    rows: int
    bytes: int


# Of pocket's codec on one thread, 10-s clips: 90 ms per row alone, 150 in batches of 4, 217 of 16.
ONE_AT_A_TIME = CodecLimit(rows=1, bytes=0)
# Of the released codec on an H200, 10-s clips in float32: 20 ms per row alone, 5.0 in batches of 8,
# 3.1 of 32, 2.8 of 64.
CUDA_ROWS = 32
CUDA_SHARE = 1 / 8  # of the memory of the device at most; the caches of the decoder take most of it


class RowAudio(NamedTuple):
    """Audio of a row, the number of rows that the codec decoded together, and its place in them."""

    clip: Clip
    codec_rows: int
    codec_row: int


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


def decode_codes(checkpoint: Checkpoint, codes: torch.Tensor) -> Clip:
    """Audio of codes [K, T]."""
    return decode_at(checkpoint, codes, 1, 0)


def decode_rows(checkpoint: Checkpoint, codes: torch.Tensor) -> Iterator[RowAudio]:
    """Audio of each row of codes [n, K, T], in order, decoded in batches of `codec_rows_at_once`."""
    rows, _, frames = codes.shape
    for batch in codes.split(codec_rows_at_once(checkpoint, frames, rows)):
        for row, clip in enumerate(_decode_together(checkpoint, batch)):
            yield RowAudio(clip, len(batch), row)


def decode_at(checkpoint: Checkpoint, codes: torch.Tensor, codec_rows: int, codec_row: int) -> Clip:
    """Audio of one row, bit for bit as `decode_rows` decoded it.

    Args:
        checkpoint: of the codec.
        codes: [K, T].
        codec_rows: rows that are decoded together; the others have the same codes.
        codec_row: place of the row among them.
    """
    return _decode_together(checkpoint, codes.expand(codec_rows, -1, -1))[codec_row]


def codec_rows_at_once(checkpoint: Checkpoint, frames: int, rows: int) -> int:
    """Number of rows, of `rows` of equal length, that are decoded together.

    It depends on the device's kind and size, and not on its free memory, so that the memory of a
    batch is known before it is decoded.
    """
    if frames > frames_at_once(checkpoint, frames):
        return 1
    limit = codec_limit(checkpoint.device)
    return max(1, min(rows, limit.rows, limit.bytes // codec_row_bytes(checkpoint, frames)))


def codec_limit(device: torch.device) -> CodecLimit:
    """Largest batch of the codec on a device."""
    if device.type != "cuda":
        return ONE_AT_A_TIME
    memory = torch.cuda.get_device_properties(device).total_memory
    return CodecLimit(CUDA_ROWS, int(memory * CUDA_SHARE))


def codec_bytes(checkpoint: Checkpoint, frames: int, rows: int) -> int:
    """Peak of decoding the audio of `rows` rows of up to `frames` frames, at most, in bytes."""
    limit, one = codec_limit(checkpoint.device), codec_row_bytes(checkpoint, frames)
    return min(min(rows, limit.rows) * one, max(limit.bytes, one))


def codec_row_bytes(checkpoint: Checkpoint, frames: int) -> int:
    """Bytes of decoding one row of `frames` frames: the widest stage, and the samples twice."""
    shape, filters = checkpoint.shape, checkpoint.model.audio_encoder.config.num_filters
    hop, pieces = shape.sample_rate // shape.frame_rate, frames_at_once(checkpoint, frames)
    return 4 * hop * (CODEC_COPIES * filters * pieces + 2 * shape.channels * frames)


def frames_at_once(checkpoint: Checkpoint, frames: int) -> int:
    """Frames of a clip of `frames` that are decoded together."""
    if not can_stream(checkpoint):
        return frames
    return min(frames, PIECE_SECONDS * checkpoint.shape.frame_rate)


@torch.no_grad()
def _decode_together(checkpoint: Checkpoint, codes: torch.Tensor) -> list[Clip]:
    """Audio of codes [n, K, T] in one batch; rows that are decoded in pieces, one by one."""
    with exact_convolutions(checkpoint.device):
        if codes.shape[2] <= frames_at_once(checkpoint, codes.shape[2]):
            samples = _decode_whole(checkpoint, codes)
        else:
            samples = [_decode_in_pieces(checkpoint, row) for row in codes]
    return [Clip(one.numpy(), checkpoint.shape.sample_rate) for one in samples]


def _decode_whole(checkpoint: Checkpoint, codes: torch.Tensor) -> list[torch.Tensor]:
    """Samples [C, N] of each row of codes [n, K, T]."""
    codec, codes = checkpoint.model.audio_encoder, codes.to(checkpoint.device)
    channels = [codes] if checkpoint.shape.channels == 1 else [codes[:, ::2], codes[:, 1::2]]
    # Through the class: the reference engine replaces `decode` on the instance while it runs.
    samples = [
        type(codec).decode(codec, part[None], [None]).audio_values[:, 0] for part in channels
    ]  # [n, N] of each channel
    return [torch.stack(row).float().cpu() for row in zip(*samples, strict=True)]


def _decode_in_pieces(checkpoint: Checkpoint, codes: torch.Tensor) -> torch.Tensor:
    """Samples [C, N] of codes [K, T]."""
    codec = StreamingCodec(checkpoint)
    pieces = codes.split(PIECE_SECONDS * checkpoint.shape.frame_rate, dim=1)
    return torch.cat([codec.push(one, last=one is pieces[-1]) for one in pieces], dim=1)


def _books(codec: Any, bandwidth: float) -> int:
    return codec.quantizer.get_num_quantizers_for_bandwidth(bandwidth)
