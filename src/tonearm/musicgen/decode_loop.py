"""The loop: one code position after the other, from BOS to the last delayed codebook, and one window after the other."""

from collections.abc import Iterator, Sequence

import torch

from tonearm.musicgen.decode_request import DecodeRequest, OnFrame
from tonearm.musicgen.decoder import Decoder, DecoderState
from tonearm.musicgen.delay import delay, undelay
from tonearm.musicgen.hooks import Tap, Taps
from tonearm.musicgen.sampling import RowSampler, SharedSampler
from tonearm.musicgen.steering_buffers import SteeringBuffers
from tonearm.steering.vector import Site

UNKNOWN = -1


class Decoding:
    """One request, step by step. Stopping between two steps leaves nothing behind.

    Frames are counted from the beginning of the clip, positions from the beginning of the window:

        frames     0 ........... W                      the first window
                           o ........... o + W          the second, which begins with codes that are known
    """

    def __init__(self, decoder: Decoder, request: DecodeRequest, read: Taps | None = None):
        checkpoint, rows = decoder.checkpoint, request.conditioning.rows
        self.decoder, self.request = decoder, request
        self.lengths = request.lengths or [request.frames] * rows
        self._codes = torch.full((rows, checkpoint.codebooks, request.frames), UNKNOWN, device=checkpoint.device)
        if request.prompt_codes is not None:
            self._codes[..., : request.prompt_frames] = request.prompt_codes.to(checkpoint.device)
        for row, length in enumerate(self.lengths):  # after its end a row holds what stands after the end of any clip
            self._codes[row, :, length:] = checkpoint.bos
        self.buffers = SteeringBuffers(request.plan, request.conditioning, request.prompt_frames, decoder.dtype)
        for track in self.buffers.tracks:
            hold(track.table, [self.lengths[row] for row in track.rows])
        guidance = None if request.guidance is None else hold(request.guidance.clone(), self.lengths)
        self.taps: dict[tuple[Site, int], list[Tap]] = dict(self.buffers.taps)
        for place, more in (read or {}).items():
            self.taps[place] = [*self.taps.get(place, ()), *more]
        sampler = SharedSampler if request.shared_noise else RowSampler
        self.sampler = sampler(request.sampling, request.seeds, checkpoint.device, guidance)
        self.may_capture = not read  # readers need to be called at every step
        self.state: DecoderState | None = None
        self._open(0, known=request.prompt_frames)

    def _open(self, window: int, known: int) -> None:
        """Go to a window of which frames up to `known` are there."""
        checkpoint = self.decoder.checkpoint
        self.window, self.frames, self.known = window, self.request.windows[window], known
        self.is_last = self.frames.stop == self.request.frames
        codes = self._codes[..., self.frames.start : self.frames.stop]
        self.tokens = delay(codes, checkpoint.bos, checkpoint.channels)  # [B, K, P]
        self.position = 1 + known - self.frames.start  # the first one with a code to draw
        self.state = None  # so that one cache goes before the next one comes
        conditioning = self.request.conditioning_of(window)
        self.state = self.decoder.begin(conditioning, self.tokens.shape[-1], self.frames.start, self.may_capture)

    @property
    def begun(self) -> bool:
        return self.window > 0 or self.position > 1 + self.request.prompt_frames

    @property
    def done(self) -> bool:
        return self.is_last and self.position == self.tokens.shape[-1]

    @property
    def frame(self) -> int:
        """The frame whose first codebook the next step decides; from request.frames on, none is left to decide."""
        if not self.is_last and self.position == self.tokens.shape[-1]:
            return self.frames.stop
        return self.frames.start + self.position - 1

    @property
    def between_windows(self) -> bool:
        """Whether the next step only decides delayed codebooks of a window that others follow."""
        return not self.is_last and self.frame >= self.frames.stop and self.position < self.tokens.shape[-1]

    @property
    def frames_done(self) -> int:
        """Frames whose codebooks are all there."""
        lead = self.tokens.shape[-1] - len(self.frames)
        return max(self.known, self.frames.start + self.position - lead)

    @property
    def codes(self) -> torch.Tensor:
        """[B, K, T]; UNKNOWN where not there yet."""
        codes = self._codes.clone()
        codes[..., self.frames.start : self.frames.stop] = undelay(self.tokens, self.decoder.checkpoint.channels)
        return codes

    @torch.inference_mode()
    def step(self) -> None:
        """Decide one more position: codebook k of `frame` - lag(k)."""
        if self.position == self.tokens.shape[-1]:
            self._codes = self.codes
            self._open(self.window + 1, known=self.frames.stop)
        assert self.state is not None
        past = self.state.codes_read
        # The delayed codebooks at the end of a window go by its last frame.
        ruled_by = min(self.frame, self.frames.stop - 1)
        self.buffers.seek(ruled_by)
        logits = self.state.forward(self.tokens[..., past : self.position], self.taps)
        drawn = self.sampler(logits, self.frame + 1, ruled_by)
        known = self.tokens[..., self.position]
        self.tokens[..., self.position] = torch.where(known == UNKNOWN, drawn, known)
        self.position += 1

    def __iter__(self) -> Iterator[int]:
        """Step to the end; yields the frames done."""
        while not self.done:
            self.step()
            yield self.frames_done

    def rows(self, on_frame: OnFrame | None = None) -> Iterator[tuple[int, torch.Tensor]]:
        """Step to the end; yields each row with its codes [K, T of the row], on the CPU, as soon as they are all there."""
        waiting = set(range(len(self.lengths)))
        for done in self:
            if on_frame:
                on_frame(done, self.request.frames)
            for row in sorted(row for row in waiting if self.lengths[row] <= done):
                waiting.remove(row)
                yield row, self.codes[row, :, : self.lengths[row]].cpu()


def hold(table: torch.Tensor, lengths: Sequence[int]) -> torch.Tensor:
    """A table [n, T] in which each row keeps, after its own length, what it had at its last frame; changed in place."""
    for row, length in enumerate(lengths):
        table[row, length:] = table[row, length - 1]
    return table
