"""EnCodec's decoder on codes that arrive a few frames at a time: the pieces joined are the one-shot decode.

    codes ─► latents ─► first convolution ─► LSTM ─► upsampling tail ─► samples
                        window of frames     state   window of frames

The LSTM carries its state; what stands before and after it sees a few frames to either side, so it runs on windows with that much context, whose
edges are thrown away. The frames after a sample that have to be there first are its lookahead.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from tonearm.errors import TonearmError
from tonearm.musicgen.checkpoint import Checkpoint

LONGEST_REACH = 32  # frames; beyond those of any EnCodec


class StreamingCodec:
    """`push` codes, get samples; `push(..., last=True)` for the end of the clip."""

    def __init__(self, checkpoint: Checkpoint):
        codec = checkpoint.model.audio_encoder
        config = codec.config
        if config.norm_type != "weight_norm":
            raise TonearmError(
                f"{checkpoint.name}'s codec normalises over the whole clip, so it cannot be streamed; use generate"
            )
        self.codec, self.channels = codec, checkpoint.channels
        self.first, self.lstm, self.tail = (
            codec.decoder.layers[0],
            codec.decoder.layers[1].lstm,
            codec.decoder.layers[2:],
        )
        self.hop = math.prod(config.upsampling_ratios)
        with torch.inference_mode():
            frame = torch.full((1, config.hidden_size, 1), math.nan, device=checkpoint.device, dtype=codec.dtype)
            self.reach_before_lstm = _Reach.of([self.first], frame, 1)
            self.reach_after_lstm = _Reach.of(self.tail, self.first(frame), self.hop)
        empty = torch.empty(self.channels, 0, 0, device=checkpoint.device)
        self.latents, self.outputs = empty, empty  # [C, D, T]
        self.state: tuple[torch.Tensor, torch.Tensor] | None = None
        self.convolved = self.sounded = 0  # frames

    @property
    def lookahead(self) -> int:
        """Frames that must follow a frame before it sounds."""
        return self.reach_before_lstm.after + self.reach_after_lstm.after

    @torch.inference_mode()
    def push(self, codes: torch.Tensor, last: bool = False) -> torch.Tensor:
        """Codes [K, n] of the next n frames -> float32 samples [C, m] that can be told by now."""
        books = codes.reshape(-1, self.channels, codes.shape[-1])  # stereo books alternate left and right
        fresh = self.codec.quantizer.decode(books.to(self.latents.device))
        self.latents = torch.cat([self.latents, fresh], dim=-1) if self.latents.shape[-1] else fresh
        self._convolve(last)
        return self._sound(last)

    def _convolve(self, last: bool) -> None:
        total = self.latents.shape[-1]
        end = total if last else total - self.reach_before_lstm.after
        if end <= self.convolved:
            return
        start = max(0, self.convolved - self.reach_before_lstm.before)
        window = self.first(self.latents[..., start:])[..., self.convolved - start : end - start]
        steps = window.permute(2, 0, 1)
        output, self.state = self.lstm(steps, self.state)
        output = (output + steps).permute(1, 2, 0)
        self.outputs = torch.cat([self.outputs, output], dim=-1) if self.outputs.shape[-1] else output
        self.convolved = end

    def _sound(self, last: bool) -> torch.Tensor:
        end = self.convolved if last else self.convolved - self.reach_after_lstm.after
        if end <= self.sounded:
            return torch.empty(self.channels, 0)
        start = max(0, self.sounded - self.reach_after_lstm.before)
        window = self.outputs[..., start : self.convolved]
        for layer in self.tail:
            window = layer(window)
        samples = window[:, 0, (self.sounded - start) * self.hop : (end - start) * self.hop]
        self.sounded = end
        return samples.float().cpu()


@dataclass(frozen=True)
class _Reach:
    """Frames before and after one that its output depends on."""

    before: int
    after: int

    @classmethod
    def of(cls, layers: Sequence[torch.nn.Module], frame: torch.Tensor, hop: int) -> "_Reach":
        """Found by putting a frame of NaN [1, D, 1] into a long window, and looking which output it spoils; `hop` outputs to a frame."""
        probe = torch.nn.functional.pad(frame, (LONGEST_REACH, LONGEST_REACH))
        for layer in layers:
            probe = layer(probe)
        spoilt = probe[0].isnan().any(0).nonzero()[:, 0] // hop - LONGEST_REACH
        return cls(before=int(spoilt.max()), after=-int(spoilt.min()))
