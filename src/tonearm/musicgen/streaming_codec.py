"""EnCodec's decoder on codes that arrive a few frames at a time; the pieces joined equal the
one-shot decode.

    codes ─► latents ─► first convolution ─► LSTM ─► upsampling tail ─► samples
                        window of frames     state   window of frames

The LSTM carries its state. The parts before and after it depend on a few frames on either side, so
they run on windows with that much context, whose edges are dropped. Frames that nothing depends on
any more are released, so that memory does not grow with the clip. The lookahead is the number of
frames after a sample that it depends on.

Shapes: C channels; D latent width; T frames.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import RLock

import torch

from tonearm.errors import TonearmError
from tonearm.musicgen.checkpoint import Checkpoint

LONGEST_REACH = 32  # frames; beyond those of any EnCodec

_cudnn_flags = RLock()  # the flags of cuDNN are those of the process


def can_stream(checkpoint: Checkpoint) -> bool:
    """Whether the codec's samples depend on nearby frames and on those before, and on no others."""
    return checkpoint.model.audio_encoder.config.norm_type == "weight_norm"


@contextmanager
def exact_convolutions(device: torch.device) -> Iterator[None]:
    """Use the deterministic algorithms of cuDNN, and float32 as it is.

    Its default algorithms can differ in the last bit from call to call, so that a take would not
    replay, and round float32 to the 10 bits of TF32.
    """
    if device.type != "cuda":
        yield
        return
    cudnn = torch.backends.cudnn
    with _cudnn_flags:
        before = cudnn.deterministic, cudnn.allow_tf32
        cudnn.deterministic, cudnn.allow_tf32 = True, False
        try:
            yield
        finally:
            cudnn.deterministic, cudnn.allow_tf32 = before


class StreamingCodec:
    """`push` codes, get samples; `push(..., last=True)` at the end of the clip.

    Raises:
        TonearmError: a codec that normalises over the whole clip.
    """

    def __init__(self, checkpoint: Checkpoint):
        codec = checkpoint.model.audio_encoder
        config = codec.config
        if not can_stream(checkpoint):
            raise TonearmError(
                f"{checkpoint.shape.name}'s codec normalises over the whole clip, "
                "so it cannot be streamed; use generate"
            )
        self.codec, self.channels = codec, checkpoint.shape.channels
        layers = codec.decoder.layers
        self.first, self.lstm, self.tail = layers[0], layers[1].lstm, layers[2:]
        self.hop = math.prod(config.upsampling_ratios)
        with torch.inference_mode(), exact_convolutions(checkpoint.device):
            frame = torch.full(
                (1, config.hidden_size, 1), math.nan, device=checkpoint.device, dtype=codec.dtype
            )
            self.reach_before_lstm = _Reach.of([self.first], frame, 1)
            self.reach_after_lstm = _Reach.of(self.tail, self.first(frame), self.hop)
        self.latents = _Frames(self.channels, checkpoint.device)
        self.outputs = _Frames(self.channels, checkpoint.device)
        self.state: tuple[torch.Tensor, torch.Tensor] | None = None
        self.convolved = self.decoded = 0  # frames

    @property
    def lookahead(self) -> int:
        """Frames that must follow a frame before its samples are complete."""
        return self.reach_before_lstm.after + self.reach_after_lstm.after

    @torch.inference_mode()
    def push(self, codes: torch.Tensor, last: bool = False) -> torch.Tensor:
        """Decode the next frames.

        Args:
            codes: [K, n] of the next n frames.
            last: no frames follow.

        Returns:
            The samples that are complete now, float32 [C, m], on the CPU.
        """
        if codes.shape[-1]:
            books = codes.reshape(
                -1, self.channels, codes.shape[-1]
            )  # left and right books alternate
            self.latents.append(self.codec.quantizer.decode(books.to(self.latents.device)))
        with exact_convolutions(self.latents.device):
            self._convolve(last)
            return self._decode(last)

    def _convolve(self, last: bool) -> None:
        total = self.latents.stop
        end = total if last else total - self.reach_before_lstm.after
        if end <= self.convolved:
            return
        start = max(0, self.convolved - self.reach_before_lstm.before)
        window = self.first(self.latents.between(start, total))
        steps = window[..., self.convolved - start : end - start].permute(2, 0, 1)
        output, self.state = self.lstm(steps, self.state)
        self.outputs.append((output + steps).permute(1, 2, 0))
        self.convolved = end
        self.latents.release(end - self.reach_before_lstm.before)

    def _decode(self, last: bool) -> torch.Tensor:
        end = self.convolved if last else self.convolved - self.reach_after_lstm.after
        if end <= self.decoded:
            return torch.empty(self.channels, 0)
        start = max(0, self.decoded - self.reach_after_lstm.before)
        window = self.outputs.between(start, self.convolved)
        for layer in self.tail:
            window = layer(window)
        samples = window[:, 0, (self.decoded - start) * self.hop : (end - start) * self.hop]
        self.decoded = end
        self.outputs.release(end - self.reach_after_lstm.before)
        return samples.float().cpu()


class _Frames:
    """Tensors [C, D, T] appended along T, whose oldest frames can be released."""

    def __init__(self, channels: int, device: torch.device):
        self.kept, self.start, self.device = torch.empty(channels, 0, 0, device=device), 0, device

    @property
    def stop(self) -> int:
        return self.start + self.kept.shape[-1]

    def append(self, new: torch.Tensor) -> None:
        self.kept = torch.cat([self.kept, new], dim=-1) if self.kept.shape[-1] else new

    def between(self, first: int, last: int) -> torch.Tensor:
        return self.kept[..., first - self.start : last - self.start]

    def release(self, before: int) -> None:
        if before > self.start:
            self.kept = self.kept[..., before - self.start :].clone()
            self.start = before


@dataclass(frozen=True)
class _Reach:
    """Frames before and after one that its output depends on."""

    before: int
    after: int

    @classmethod
    def of(cls, layers: Sequence[torch.nn.Module], frame: torch.Tensor, hop: int) -> "_Reach":
        """Measure the reach: put one frame of NaN [1, D, 1] into a long window and find the NaN
        outputs.

        Args:
            layers: applied one after the other.
            frame: NaN, of the layers' input width.
            hop: outputs per frame.
        """
        probe = torch.nn.functional.pad(frame, (LONGEST_REACH, LONGEST_REACH))
        for layer in layers:
            probe = layer(probe)
        reached = probe[0].isnan().any(0).nonzero()[:, 0] // hop - LONGEST_REACH
        return cls(before=int(reached.max()), after=-int(reached.min()))
