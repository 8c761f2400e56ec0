"""Decode loop: one code position after the other, from BOS to the last delayed codebook, window by
window.
"""

from collections import deque
from collections.abc import Iterator

import torch

from tonearm.backend import Site, Tap, Taps
from tonearm.musicgen.completed_rows import CompletedRows
from tonearm.musicgen.decode_request import ConditioningByStart, DecodeRequest
from tonearm.musicgen.decoder import Decoder, DecoderState
from tonearm.musicgen.delay import delay, undelay
from tonearm.musicgen.kept_codes import UNKNOWN
from tonearm.musicgen.sampling import FINITE_CHECK_STEPS, RowSampler, SharedSampler
from tonearm.musicgen.steering_buffers import SteeringBuffers
from tonearm.progress import Progress
from tonearm.steering.controls import GUIDANCE, TEMPERATURE, Control


class Decoding:
    """State of one request while it is decoded step by step.

    Args:
        decoder: to run.
        request: to decode.
        read: further taps, which see the activations as steered.
        may_capture: steps may run as captured graphs, where the device has them.

    Frames are counted from the start of the clip, positions from the start of the window:

        frames     0 ........... W                      the first window
                           o ........... o + W          the second, which starts with known codes

    A window ends early where a section begins, whether the request has it or `begin_section` adds
    it while decoding. `allocated` is the end of the last window as it was opened, which its cache
    is allocated for.
    """

    def __init__(
        self,
        decoder: Decoder,
        request: DecodeRequest,
        read: Taps | None = None,
        may_capture: bool = True,
    ):
        checkpoint, rows = decoder.checkpoint, request.conditioning.rows
        self.decoder, self.request = decoder, request
        self.end = request.frames
        self.lengths = list(request.lengths) if request.lengths else None
        if self.lengths is None and self.end is not None:
            self.lengths = [self.end] * rows
        self._codes = torch.empty(
            rows, checkpoint.shape.codebooks, 0, dtype=torch.int64, device=checkpoint.device
        )
        self.buffers = SteeringBuffers(
            request.plan,
            request.conditioning,
            request.prompt_frames,
            decoder.dtype,
            request.seeds,
            request.readouts,
        )
        sampler = SharedSampler if request.shared_noise else RowSampler
        self.sampler = sampler(
            request.sampling,
            request.seeds,
            checkpoint.device,
            None if request.guidance is None else request.guidance.clone(),
            None if request.temperature is None else request.temperature.clone(),
        )
        if self.lengths is not None:
            self.buffers.hold_after(self.lengths)
            self.sampler.guidance.hold_after(self.lengths)
            self.sampler.temperature.hold_after(self.lengths)
        self.taps: dict[tuple[Site, int], list[Tap]] = {
            place: list(taps) for place, taps in self.buffers.taps.items()
        }
        for place, more in (read or {}).items():
            self.taps[place] = [*self.taps.get(place, ()), *more]
        self._later = deque((one.frame, one.conditioning) for one in request.sections)
        self._conditioning: ConditioningByStart = request.conditioning_from  # of this section
        self.may_capture = may_capture and not read  # readers have to be called at every step
        self.state: DecoderState | None = None
        self._open(0, known=request.prompt_frames)

    def _open(self, start: int, known: int) -> None:
        """Start the window at frame `start`, of which the frames before `known` have codes."""
        shape, frames = self.decoder.checkpoint.shape, self.request.window_from(start, self.end)
        self._extend(frames.stop)
        codes = self._codes[..., start : frames.stop]
        self.tokens = delay(codes, self.decoder.checkpoint.bos, shape.channels)  # [B, K, P]
        self.frames, self.known, self.allocated = frames, known, frames.stop
        self.position = 1 + known - start  # the first one with a code to draw
        self.close()  # its cache is free before the next one is allocated
        while self._later and self._later[0][0] <= known:
            _, self._conditioning = self._later.popleft()
        conditioning = self._conditioning(start)
        steering = self.buffers if self.may_capture else None
        self.state = self.decoder.begin(conditioning, self.tokens.shape[-1], start, steering)

    def _extend(self, stop: int) -> None:
        """Lengthen the codes to `stop` frames: the audio prompt, codes that are kept, UNKNOWN, and
        BOS after a row's end.
        """
        have = self._codes.shape[-1]
        if stop <= have:
            return
        size = (*self._codes.shape[:2], stop - have)
        new = torch.full(size, UNKNOWN, device=self._codes.device)
        if self.request.kept_codes is not None:
            kept = self.request.kept_codes[..., have:stop]
            new[..., : kept.shape[-1]] = kept.to(new.device)
        if not have and self.request.prompt_codes is not None:
            prompt = self.request.prompt_codes.to(new.device)
            new[..., : self.request.prompt_frames] = prompt[..., : stop - have]
        for row, length in enumerate(self.lengths or ()):  # as after the end of any clip
            new[row, :, max(0, length - have) :] = self.decoder.checkpoint.bos
        self._codes = torch.cat([self._codes, new], dim=-1)

    @property
    def is_last(self) -> bool:
        """Whether no window follows this one."""
        return self.frames.stop == self.end

    @property
    def done(self) -> bool:
        return self.is_last and self.position == self.tokens.shape[-1]

    @property
    def frame(self) -> int:
        """Frame whose first codebook the next step decides; the clip's end when none is left."""
        if not self.is_last and self.position == self.tokens.shape[-1]:
            return self.frames.stop
        return self.frames.start + self.position - 1

    @property
    def between_windows(self) -> bool:
        """Whether the next step only decides delayed codebooks of a window that another follows."""
        return (
            not self.is_last
            and self.frame >= self.frames.stop
            and self.position < self.tokens.shape[-1]
        )

    @property
    def frames_done(self) -> int:
        """Frames whose codebooks are all decided."""
        lead = self.tokens.shape[-1] - len(self.frames)
        return max(self.known, self.frames.start + self.position - lead)

    @property
    def codes(self) -> torch.Tensor:
        """Codes [B, K, T] to the end of this window; UNKNOWN where not decided yet.

        Raises:
            TonearmError: logits were not finite.
        """
        self.sampler.check_finite()
        codes = self._codes.clone()
        codes[..., self.frames.start : self.frames.stop] = self._window_codes()
        return codes

    def codes_between(self, row: int, first: int, last: int) -> torch.Tensor:
        """A row's codes of frames first .. last - 1, [K, last - first].

        Raises:
            TonearmError: logits were not finite.
        """
        self.sampler.check_finite()
        start = self.frames.start
        before = self._codes[row, :, first : min(last, start)]
        if last <= start:
            return before
        here = self._window_codes()[row, :, max(0, first - start) : last - start]
        return torch.cat([before, here], dim=-1)

    def _window_codes(self) -> torch.Tensor:
        return undelay(self.tokens, self.decoder.checkpoint.shape.channels)

    @torch.inference_mode()
    def step(self) -> None:
        """Decide one more position: codebook k of `frame` - lag(k)."""
        if self._later and self._later[0][0] == self.frame < self.frames.stop:
            self._end_window(self.frame)
        if self.position == self.tokens.shape[-1]:
            self._codes = self.codes
            self._open(max(0, self.frames.stop - self.request.overlap), known=self.frames.stop)
        assert self.state is not None
        past = self.state.codes_read
        # The delayed codebooks at the end of a window are ruled by its last frame.
        ruled_by = min(self.frame, self.frames.stop - 1)
        self.buffers.seek(ruled_by)
        logits = self.state.forward(self.tokens[..., past : self.position], self.taps)
        drawn = self.sampler(logits, self.frame + 1, ruled_by)
        known = self.tokens[..., self.position]
        self.tokens[..., self.position] = torch.where(known == UNKNOWN, drawn, known)
        self.position += 1
        if self.position % FINITE_CHECK_STEPS == 0:
            self.sampler.check_finite()
        if self.done:
            self.close()

    def close(self) -> None:
        """Free the cache, or leave it with its graphs to later decodings. No step can follow.

        The last step does this too; it is needed where decoding ends before.
        """
        if self.state is not None:
            self.buffers.end_window()
            self.state.close()
            self.state = None

    def apply(self, control: Control, frame: int) -> None:
        """Apply a control from `frame` on to all rows: guidance or temperature.

        Raises:
            ValueError: another target.
        """
        if control.target == GUIDANCE:
            self.sampler.set_guidance(control.value, frame)
        elif control.target == TEMPERATURE:
            self.sampler.set_temperature(control.value, frame)
        else:
            raise ValueError(f"{control.target} does not act on decoding")

    def begin_section(self, conditioning: ConditioningByStart) -> None:
        """Begin a section with the frame that the next step decides. One that begins there already
        is replaced.

        Args:
            conditioning: of its windows.

        Raises:
            ValueError: between two windows, or after the last frame.
        """
        frame = self.frame
        if self.between_windows or (self.end is not None and frame >= self.end):
            raise ValueError(f"no section can begin at frame {frame}")
        while self._later and self._later[0][0] <= frame:
            self._later.popleft()
        self._later.appendleft((frame, conditioning))
        if frame == self.known:  # no step was made yet
            self._open(self.frames.start, self.known)

    @property
    def first_rewindable(self) -> int | None:
        """Earliest frame to which this decoding can be rewound; None where it cannot: monitors and
        the noise of plain generate() depend on every step that was made.
        """
        if isinstance(self.sampler, SharedSampler) or self.buffers.has_monitors:
            return None
        return self.known

    @torch.inference_mode()
    def rewind(self, frame: int) -> None:
        """Decide again from `frame` on, to let changes act earlier.

        All codebooks of the frames before it keep their codes (kept_codes.py).

        Args:
            frame: of this window, at or after `first_rewindable`, before or at `frames_done`.

        Raises:
            ValueError: another frame.
        """
        first = self.first_rewindable
        if first is None or not first <= frame <= self.frames_done:
            raise ValueError(f"the decoding cannot be rewound to frame {frame}")
        start, checkpoint = self.frames.start, self.decoder.checkpoint
        if frame >= start + self.position - 1:
            return
        if frame == self.known:  # read the known frames, if any, in one pass, as a replay does
            self._open(start, self.known)
            return
        codes = self._window_codes()
        codes[..., frame - start :] = self._codes[..., frame : self.frames.stop]
        self.tokens = delay(codes, checkpoint.bos, checkpoint.shape.channels)
        self.position = 1 + frame - start
        assert self.state is not None
        self.state.rewind(self.position - 1)

    def stop(self) -> None:
        """End the clip before the frame that the next step would decide."""
        end = min(self.frame, self.frames.stop)
        if self.end is not None and end >= self.end:
            return
        self._end_window(end)
        self.end = end
        self.lengths = [end] * len(self.tokens)

    def cut(self) -> int:
        """End the clip after the frames whose codebooks are all decided. No step follows.

        The delayed codebooks of the last frames saw further frames, so that another decoding has to
        keep these codes, as after a rewind to the end of the clip.

        Returns:
            The end.

        Raises:
            ValueError: the decoding cannot be rewound.
        """
        if self.first_rewindable is None:
            raise ValueError("a decoding that cannot be rewound cannot be cut")
        self.end = self.frames_done
        self._end_window(self.end)
        self.lengths = [self.end] * len(self.tokens)
        self.position = self.tokens.shape[-1]
        self.close()
        return self.end

    def _end_window(self, end: int) -> None:
        """End the window before frame `end`.

        The delayed codebooks of its last frames are still to be decided; they see the end of a
        clip.
        """
        start, checkpoint = self.frames.start, self.decoder.checkpoint
        codes = self._window_codes()[..., : end - start]
        self._codes = self._codes[..., :end]
        self.tokens = delay(codes, checkpoint.bos, checkpoint.shape.channels)
        self.frames = range(start, end)

    def __iter__(self) -> Iterator[int]:
        """Step to the end and close the decoding, also where it is left early; yields frames done."""
        try:
            while not self.done:
                self.step()
                yield self.frames_done
        finally:
            self.close()

    def rows(self, progress: Progress | None = None) -> Iterator[CompletedRows]:
        """Step to the end of a clip of given length; yields rows as soon as they are complete."""
        assert self.end is not None and self.lengths is not None
        waiting = sorted(set(self.lengths))
        for done in self:
            if progress:
                progress(done, self.end)
            while waiting and waiting[0] <= done:
                length = waiting.pop(0)
                rows = [row for row, its_length in enumerate(self.lengths) if its_length == length]
                codes = self.codes[rows, :, :length].cpu()
                acted = [self.buffers.acted(row, length) for row in rows]
                yield CompletedRows(rows, codes, acted)
