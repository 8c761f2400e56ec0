"""Streaming of one take, with settings that can be changed while it plays.

stream = model.stream("a folk tune with flute", steer={"brightness": 0}, seconds=10)
for chunk in stream:                                            # in one thread
    play(chunk.samples)
stream.set(Control.amount("brightness", 0.5)).result()          # from another: the frame of the change
stream.set_prompt("a slow jazz piece").result()                 # likewise
stream.take.save("played.wav")                                  # its sidecar holds the changes
"""

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from tonearm import boundary
from tonearm.errors import TonearmError
from tonearm.generation.encode import text_record
from tonearm.generation.live_steers import LiveSteers
from tonearm.generation.played import Played, PlayedSection
from tonearm.generation.provenance import MAX_SECTIONS
from tonearm.generation.stream_settings import StreamSettings
from tonearm.generation.waiting_changes import (
    TOO_LATE,
    Change,
    NewPrompt,
    TooLate,
    WaitingChanges,
)
from tonearm.musicgen.conditioning import EncodedTexts
from tonearm.musicgen.decode_loop import Decoding
from tonearm.musicgen.decode_request import ConditioningByStart
from tonearm.musicgen.sampling import Sampling
from tonearm.musicgen.streaming_codec import StreamingCodec
from tonearm.steering.amounts import AmountPlace
from tonearm.steering.controls import GUIDANCE, Control
from tonearm.steering.spec import Steering
from tonearm.text import first_line

if TYPE_CHECKING:
    import torch

    from tonearm.generation.take import Take

TOO_MANY_PROMPTS = (
    f"the prompt of this stream has changed {MAX_SECTIONS} times, the most that a take records; "
    "start another one"
)


@dataclass(frozen=True)
class Chunk:
    """Next piece of audio: float32 samples [C, m], which begin `start` seconds into the clip.

    `plain` holds the same piece without steering, of the plain row of a twin stream.
    """

    samples: np.ndarray
    start: float
    sample_rate: int
    plain: np.ndarray | None = None


@dataclass(frozen=True)
class Projection:
    """Projection of the newest frame's activation on the unit direction of a vector, before the
    vector acts at that layer.

    value          of the steered row
    plain          of the plain row of a twin stream
    in_deviations  both are in standard deviations from the mean over generated frames; otherwise
                   in units of the activation, of a vector without frame scales
    """

    value: float
    plain: float | None
    in_deviations: bool


class Stream:
    """Iterate it once, for its audio.

    A twin stream decodes two rows in one batch, with the same noise: the steered one, and a plain
    one of the same prompts, seed and sampling. Vectors act on the first alone, prompts, guidance,
    temperature and mute on both.

    All other methods may be called from any thread at any time.

    Where something fails, the clip ends after the frames that are decided by then, and its take is
    complete when the error reaches the caller. There is no take where a step fails that cannot be
    rewound (`Decoding.first_rewindable`), or where the completion fails, too.

    Args:
        decoding: of the steered row, and of the plain row of a twin stream.
        codecs: of the rows.
        steering: of the steered row, with strengths in place of amounts.
        amounts: the steers that stand for amounts.
        share: factor of the strengths that are set (LiveSteers).
        sampling: of the rows.
        sections: prompts of the rows, the first one included.
        encode: encodes another prompt.
        chunk_frames: length of a chunk.
        finish: makes the takes of the rows from the settings and the codes [B, K, T].
        rewinds: changes act from the first frame of which no audio was made (`rewinds`).

    Attributes:
        rewinds: may be set at any time.
    """

    def __init__(
        self,
        decoding: Decoding,
        codecs: Sequence[StreamingCodec],
        steering: Steering,
        amounts: tuple[AmountPlace, ...],
        share: float,
        sampling: Sampling,
        sections: Sequence[PlayedSection],
        encode: Callable[[str], tuple[EncodedTexts, ConditioningByStart]],
        chunk_frames: int,
        finish: "Callable[[Played, torch.Tensor], Sequence[Take]]",
        rewinds: bool = False,
    ):
        self.steering, self.sampling, self.rewinds = steering, sampling, rewinds
        steers = LiveSteers(steering, amounts, share)
        self._settings = StreamSettings(decoding, steers, sampling, sections)
        self._decoding, self._codecs, self._finish = decoding, codecs, finish
        self._encode, self._chunk_frames = encode, chunk_frames
        self._changes = WaitingChanges()
        self._lock = Lock()
        self._begun = self._cancelled = self._stopping = False
        self._is_stepping = False
        self._failure: Exception | None = None
        self._takes: Sequence[Take] = ()

    @property
    def lookahead(self) -> float:
        """Seconds between a change and its audio, at most: codec and chunk, and the codebook delay
        in a stream without rewinds.
        """
        shape = self._decoding.decoder.checkpoint.shape
        frames = self._codecs[0].lookahead + self._chunk_frames
        return (frames + (0 if self.rewinds else shape.delay_frames)) / shape.frame_rate

    @property
    def until_window(self) -> float | None:
        """Seconds of music until the next window begins, which costs a pass over the frames that it
        knows; 0 while the delayed codebooks of this one are decided, and None in the last window.
        """
        decoding = self._decoding
        if decoding.is_last:
            return None
        frames = max(0, decoding.frames.stop - decoding.frame)
        return frames / decoding.decoder.checkpoint.shape.frame_rate

    def has(self, control: Control) -> bool:
        """Whether the stream has a steer that a control of a vector sets."""
        return self._settings.has(control)

    def set(self, control: Control) -> "Future[int]":
        """Change a setting from the next step on, or from the next chunk on with `rewinds`.

        Args:
            control: a target, amount, strength, level, guidance, temperature or mute. A vector must
                be one that the stream was started with (at 0, if it is to be silent at first), by
                amount, by strength or by level.

        Returns:
            A future with the frame at which the change took effect. That frame's first sample is
            frame * sample_rate / frame_rate. A change whose future was cancelled before it took
            effect is left out. Where many changes wait for a step, a newer one of the same setting
            replaces an older one, whose future raises Replaced.

        Raises:
            TonearmError: a vector that the stream does not have, an amount of a sign that failed its
                calibration, a strength that its operator does not allow, a level that is not
                possible, guidance for a stream without it, or the stream has ended.
        """
        self._settings.check(boundary.instance(control, "control", Control, "a Control"))
        return self._put(control)

    def set_prompt(self, prompt: str) -> "Future[int]":
        """Change the prompt from the next step on.

        The window ends at that frame. The next one begins with the last frames before it, as at any
        window's end, so that the music continues without a seam. Steering, sampling, the negative
        prompt and the melody stay. The prompt is encoded in the calling thread.

        Args:
            prompt: the music in words.

        Returns:
            A future as that of `set`.

        Raises:
            TonearmError: a prompt that is empty or too long, or of which no word is known, or the
                stream has ended.
        """
        texts, conditioning = self._encode(boundary.text(prompt, "prompt"))
        return self._put(NewPrompt(prompt, text_record(texts), conditioning))

    def _put(self, setting: Control | NewPrompt) -> "Future[int]":
        change = Change(setting)
        self._changes.put(change)
        return change.took_effect

    def set_amount(self, vector: str, amount: float) -> "Future[int]":
        """Set the amount of a vector; see `set`."""
        return self.set(Control.amount(vector, amount))

    def set_target(self, vector: str, target: float) -> "Future[int]":
        """Set the target of a vector, in the relative unit of its measure; see `set`."""
        return self.set(Control.physical(vector, target))

    def set_strength(self, vector: str, strength: float) -> "Future[int]":
        """Set the strength of a vector; see `set`."""
        return self.set(Control.strength(vector, strength))

    def set_level(self, vector: str, level: float) -> "Future[int]":
        """Set the level of a vector that operator set steers by; see `set`."""
        return self.set(Control.level(vector, level))

    def set_guidance(self, guidance: float) -> "Future[int]":
        """Set the guidance; see `set`."""
        return self.set(Control(target=GUIDANCE, value=guidance))

    def stop(self) -> None:
        """End the clip after the frames that are decided by now, and complete them."""
        self._stopping = True

    def cancel(self) -> None:
        """Stop within one step, without a take. Changes that wait are refused."""
        with self._lock:
            self._cancelled = True
            if self._begun:
                return
            self._decoding.close()
        self._changes.close()

    @property
    def is_guided(self) -> bool:
        """Whether the guidance can be changed; a stream that starts without it keeps none."""
        return self._decoding.request.conditioning.guided

    @property
    def prompt_frames(self) -> int:
        """Frames of the audio prompt, with which the clip begins."""
        return self._decoding.request.prompt_frames

    @property
    def projections(self) -> dict[str, Projection]:
        """Projection on each vector of the stream, by name; empty before the first step.

        The values are copied from the device when they are asked for; decoding does not wait.
        """
        request, found = self._decoding.request, {}
        values = self._decoding.buffers.readouts.values()
        for readout, of_rows in zip(request.readouts, values, strict=True):
            if not math.isnan(of_rows[0]):
                steered, *plain = map(readout.scaled, of_rows)
                found[readout.vector] = Projection(
                    steered, plain[0] if plain else None, readout.deviation is not None
                )
        return found

    @property
    def take(self) -> "Take":
        """The whole take. Raises TonearmError unless the stream was played to its end."""
        return self._take_of(0)

    @property
    def plain_take(self) -> "Take":
        """The whole plain take of a twin stream.

        Raises:
            TonearmError: the stream is no twin, or was not played to its end.
        """
        if len(self._codecs) == 1:
            raise TonearmError("the stream has no plain twin; start it with twin=True")
        return self._take_of(1)

    def _take_of(self, row: int) -> "Take":
        if not self._takes and self._failure is not None:
            cause = f"{type(self._failure).__name__}: {first_line(self._failure)}"
            raise TonearmError(f"the stream failed ({cause}), so there is no take of it")
        if not self._takes:
            raise TonearmError("the stream was not played to its end, so there is no take of it")
        return self._takes[row]

    def __iter__(self) -> Iterator[Chunk]:
        with self._lock:
            if self._begun:
                raise TonearmError("a stream can be played once; start another one")
            self._begun = True
        decoding, pushed, played = self._decoding, 0, 0
        rate = decoding.decoder.checkpoint.shape.sample_rate
        begins_chunk = True
        try:
            while not decoding.done and not self._cancelled:
                self._stop_if_asked()
                if begins_chunk or not self.rewinds:  # a chunk that began is completed
                    self._apply_changes(pushed)
                    begins_chunk = decoding.between_windows  # where changes wait for the next one
                if not decoding.done:
                    self._step()
                ready = decoding.frames_done
                if ready - pushed < self._chunk_frames and not decoding.done:
                    continue
                samples = [
                    codec.push(decoding.codes_between(row, pushed, ready), decoding.done).numpy()
                    for row, codec in enumerate(self._codecs)
                ]
                pushed, begins_chunk = ready, True
                if samples[0].shape[1]:
                    for one in samples:
                        self._settings.silence_muted(one, played)
                    yield Chunk(samples[0], played / rate, rate, *samples[1:])
                    played += samples[0].shape[1]
            if decoding.done and not self._cancelled:
                self._complete()
        except Exception as error:
            self._failure = error
            self._complete_after_failure()
            raise
        finally:
            with self._lock:
                decoding.close()
            self._changes.close()

    def _step(self) -> None:
        self._is_stepping = True
        self._decoding.step()
        self._is_stepping = False

    def _complete(self) -> None:
        self._takes = self._finish(self._settings.played(), self._decoding.codes.cpu())

    def _complete_after_failure(self) -> None:
        """Complete the takes without audio; after a step that failed, without a further step."""
        decoding, self._stopping = self._decoding, True
        with suppress(Exception):  # the first failure is the one that is raised
            if self._is_stepping and decoding.frames_done >= self._shortest:
                self._settings.cut()
            while not (decoding.done or self._is_stepping or self._cancelled):
                self._stop_if_asked()
                if not decoding.done:
                    self._step()
            if decoding.done and not self._cancelled:
                self._complete()

    @property
    def _shortest(self) -> int:
        """Frames of the shortest clip that this stream can become."""
        request = self._decoding.request
        return request.prompt_frames + self._decoding.decoder.checkpoint.shape.min_frames

    def _stop_if_asked(self) -> None:
        decoding = self._decoding
        if self._stopping and min(decoding.frame, decoding.frames.stop) >= self._shortest:
            decoding.stop()

    def _apply_changes(self, pushed: int) -> None:
        """Apply the changes that wait. `pushed`: frames whose codes the codec has."""
        if self._decoding.between_windows:
            return
        waiting = self._changes.take()
        try:
            if waiting and self.rewinds and not self._stopping:
                self._settings.rewind(pushed)
            self._apply_all(waiting)
        except Exception as error:  # of the model; every change is answered
            for change in waiting:
                if not change.took_effect.done():
                    change.took_effect.set_exception(error)
            raise

    def _apply_all(self, waiting: Sequence[Change]) -> None:
        decoding = self._decoding
        frame = decoding.frame
        for change in waiting:
            if decoding.end is not None and frame >= decoding.end:
                # only the delayed codebooks of the last frames are undecided
                change.took_effect.set_exception(TooLate(TOO_LATE))
                continue
            new = change.setting
            if isinstance(new, Control):
                self._settings.apply(new, frame)
            elif self._settings.has_all_sections:
                change.took_effect.set_exception(TonearmError(TOO_MANY_PROMPTS))
                continue
            else:
                self._settings.begin_section(new.prompt, new.texts, new.conditioning)
            change.took_effect.set_result(frame)
