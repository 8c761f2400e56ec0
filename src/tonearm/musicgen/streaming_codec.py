"""EnCodec's decoder on codes that arrive a few frames at a time: the pieces joined are the one-shot decode.

    codes ─► latents ─► first convolution ─► LSTM ─► upsampling tail ─► samples
                        window of frames     state   window of frames

The LSTM carries its state; what stands before and after it sees a few frames to either side, so it runs on windows with that much context, whose
edges are thrown away. The frames after a sample that have to be there first are its lookahead.
"""

import math

import torch
from transformers import EncodecConfig

from tonearm.errors import TonearmError
from tonearm.musicgen.checkpoint import Checkpoint


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
        self.reach_before_lstm, self.reach_after_lstm = config.kernel_size - 1, _tail_reach(config)
        empty = torch.empty(self.channels, 0, 0, device=checkpoint.device)
        self.latents, self.outputs = empty, empty  # [C, D, T]
        self.state: tuple[torch.Tensor, torch.Tensor] | None = None
        self.convolved = self.sounded = 0  # frames

    @property
    def lookahead(self) -> int:
        """Frames that must follow a frame before it sounds."""
        return self.reach_before_lstm // 2 + self.reach_after_lstm

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
        end = total if last else total - self.reach_before_lstm // 2
        if end <= self.convolved:
            return
        start = max(0, self.convolved - self.reach_before_lstm)
        window = self.first(self.latents[..., start:])[..., self.convolved - start : end - start]
        steps = window.permute(2, 0, 1)
        output, self.state = self.lstm(steps, self.state)
        output = (output + steps).permute(1, 2, 0)
        self.outputs = torch.cat([self.outputs, output], dim=-1) if self.outputs.shape[-1] else output
        self.convolved = end

    def _sound(self, last: bool) -> torch.Tensor:
        end = self.convolved if last else self.convolved - self.reach_after_lstm
        if end <= self.sounded:
            return torch.empty(self.channels, 0)
        start = max(0, self.sounded - self.reach_after_lstm)
        window = self.outputs[..., start : self.convolved]
        for layer in self.tail:
            window = layer(window)
        samples = window[:, 0, (self.sounded - start) * self.hop : (end - start) * self.hop]
        self.sounded = end
        return samples.float().cpu()


def _tail_reach(config: EncodecConfig) -> int:
    """Frames to either side that a sample of the upsampling tail depends on."""
    reach, rate = 0.0, 1
    for ratio in config.upsampling_ratios:
        reach += 1 / rate
        rate *= ratio
        reach += sum(
            config.dilation_growth_rate**j * (config.residual_kernel_size - 1) / rate
            for j in range(config.num_residual_layers)
        )
    return math.ceil(reach + (config.last_kernel_size - 1) / rate)
