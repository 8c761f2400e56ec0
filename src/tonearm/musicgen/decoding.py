"""The loop: one code position after the other, from BOS to the last delayed codebook."""

from collections.abc import Iterator

import torch

from tonearm.musicgen.decoder import Decoder
from tonearm.musicgen.delay import delay, undelay
from tonearm.musicgen.request import OnFrame, Request
from tonearm.musicgen.sampling import RowSampler, SharedSampler
from tonearm.musicgen.steered import SteeringBuffers
from tonearm.musicgen.taps import Tap, Taps
from tonearm.steering.vector import Site

UNKNOWN = -1


class Decoding:
    """One request, step by step. Stopping between two steps leaves nothing behind."""

    def __init__(self, decoder: Decoder, request: Request, read: Taps | None = None):
        checkpoint, conditioning = decoder.checkpoint, request.conditioning
        device = checkpoint.device
        self.request, self.channels = request, checkpoint.channels
        codes = torch.full((conditioning.rows, checkpoint.codebooks, request.frames), UNKNOWN, device=device)
        if request.prompt_codes is not None:
            codes[..., : request.prompt_frames] = request.prompt_codes.to(device)
        self.tokens = delay(codes, checkpoint.bos, checkpoint.channels)  # [B, K, P]
        self.position = 1 + request.prompt_frames  # the first one with a code to draw
        self.state = decoder.begin(conditioning, self.tokens.shape[-1])
        self.buffers = SteeringBuffers(request.plan, conditioning, request.prompt_frames, decoder.dtype)
        self.taps: dict[tuple[Site, int], list[Tap]] = dict(self.buffers.taps)
        for place, more in (read or {}).items():
            self.taps[place] = [*self.taps.get(place, ()), *more]
        sampler = SharedSampler if request.shared_noise else RowSampler
        self.sampler = sampler(request.sampling, request.seeds, device)

    @property
    def done(self) -> bool:
        return self.position == self.tokens.shape[-1]

    @property
    def frames_done(self) -> int:
        """Frames whose codebooks are all there."""
        lead = self.tokens.shape[-1] - self.request.frames
        return max(0, self.position - lead)

    @property
    def codes(self) -> torch.Tensor:
        """[B, K, T]; UNKNOWN where not there yet."""
        return undelay(self.tokens, self.channels)

    @torch.inference_mode()
    def step(self) -> None:
        """Decide one more position: codebook k of frame position - 1 - lag(k)."""
        past = self.state.length - self.request.conditioning.prefix if self.state.length else 0
        self.buffers.seek(self.position - 1)
        logits = self.state.forward(self.tokens[..., past : self.position], self.taps)
        drawn = self.sampler(logits, self.position)
        known = self.tokens[..., self.position]
        self.tokens[..., self.position] = torch.where(known == UNKNOWN, drawn, known)
        self.position += 1

    def __iter__(self) -> Iterator[int]:
        """Step to the end; yields the frames done."""
        while not self.done:
            self.step()
            yield self.frames_done


def decode(
    decoder: Decoder, request: Request, on_frame: OnFrame | None = None, read: Taps | None = None
) -> torch.Tensor:
    """Codes int64 [B, K, T], on the CPU. `read` adds taps that see the activations as steered."""
    decoding = Decoding(decoder, request, read)
    for frames in decoding:
        if on_frame:
            on_frame(frames, request.frames)
    return decoding.codes.cpu()
