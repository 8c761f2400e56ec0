"""A take that sounds while it is decoded, and can be turned while it sounds.

stream = model.stream("a folk tune with flute", steer={"brightness": 0}, seconds=10)
for chunk in stream:                       # in one thread
    play(chunk.samples)
stream.turn("brightness", 0.2).result()    # from another: the frame at which it took effect
stream.take.save("played.wav")             # what was turned stands in its sidecar, as a schedule
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from tonearm.errors import TonearmError
from tonearm.musicgen.decode_loop import Decoding
from tonearm.musicgen.sampling import Sampling, check_guidance
from tonearm.musicgen.streaming_codec import StreamingCodec
from tonearm.steering.schedule import Schedule
from tonearm.steering.spec import Steer, Steering, validated

if TYPE_CHECKING:
    import torch

    from tonearm.generation.take import Take


TOO_LATE = "the stream ended before the turn took effect"


@dataclass(frozen=True)
class Chunk:
    """The next piece of audio: float32 samples [C, m], which begin `start` seconds into the clip."""

    samples: np.ndarray
    start: float
    sample_rate: int


@dataclass(frozen=True)
class _Turn:
    carry_out: Callable[[int], None]  # at a frame
    took_effect: Future[int]


class Stream:
    """Iterate it once, for the audio. `turn` and `cancel` may be called from other threads at any time."""

    def __init__(
        self,
        decoding: Decoding,
        codec: StreamingCodec,
        steering: Steering,
        sampling: Sampling,
        chunk_frames: int,
        finish: "Callable[[Steering, Sampling, torch.Tensor], Take]",
    ):
        self.steering, self.sampling = steering, sampling
        self._decoding, self._codec, self._chunk_frames, self._finish = decoding, codec, chunk_frames, finish
        self._turns: SimpleQueue[_Turn] = SimpleQueue()
        self._turned: set[int] = set()
        self._guided = False
        self._lock = Lock()
        self._cancelled = self._ended = False
        self._take: Take | None = None

    @property
    def lookahead(self) -> float:
        """Seconds by which a frame is heard later than it is decided: the codebook delay and what the codec has to see first."""
        checkpoint = self._decoding.decoder.checkpoint
        return (checkpoint.delay_frames + self._codec.lookahead + self._chunk_frames) / checkpoint.frame_rate

    def turn(self, vector: str, strength: float) -> "Future[int]":
        """Set the strength of a vector from the next step on; the future holds the frame at which it took effect.

        The vector must be one of those that the stream was begun with (at strength 0, if it is to be silent at first). Raises TonearmError
        for a vector that is not, for a strength that its operator cannot take, and when the stream has ended.
        """
        places = [place for place, steer in enumerate(self.steering.steers) if steer.vector == vector]
        if not places:
            names = ", ".join(steer.vector for steer in self.steering.steers) or "none"
            raise TonearmError(
                f"vector {vector!r} is not in this stream (it has {names}); name it when the stream begins, at strength 0"
            )
        for place in places:
            steer = self.steering.steers[place]
            validated(Steer, steer.model_dump() | {"strength": strength, "schedule": None}, where=f"steer {vector}")

        def carry_out(frame: int) -> None:
            for place in places:
                self._decoding.buffers.set_strength(0, place, strength, frame)
            self._turned.update(places)

        return self._put(carry_out)

    def guide(self, guidance: float) -> "Future[int]":
        """Set the guidance from the next step on; the future holds the frame at which it took effect.

        Raises TonearmError for a guidance that is not possible, for a stream that was begun without guidance, and when it has ended.
        """
        check_guidance(guidance)
        if not self._decoding.request.conditioning.guided:
            raise TonearmError("the stream was begun without guidance; begin another one with guidance above 1")

        def carry_out(frame: int) -> None:
            self._decoding.sampler.guidance[0, frame:] = guidance
            self._guided = True

        return self._put(carry_out)

    def _put(self, carry_out: Callable[[int], None]) -> "Future[int]":
        turn = _Turn(carry_out, Future())
        with self._lock:
            if self._ended:
                raise TonearmError("the stream has ended; begin another one")
            self._turns.put(turn)
        return turn.took_effect

    def cancel(self) -> None:
        """Stop within one step."""
        self._cancelled = True

    @property
    def take(self) -> "Take":
        """The whole take, once all of it was decoded."""
        if self._take is None:
            raise TonearmError("the stream was not played to its end, so there is no take of it")
        return self._take

    def __iter__(self) -> Iterator[Chunk]:
        if self._ended or self._decoding.begun:
            raise TonearmError("a stream can be played once; begin another one")
        decoding, pushed, sounded = self._decoding, 0, 0
        checkpoint = decoding.decoder.checkpoint
        try:
            while not decoding.done and not self._cancelled:
                self._take_turns()
                decoding.step()
                ready = decoding.frames_done
                if ready - pushed < self._chunk_frames and not decoding.done:
                    continue
                samples = self._codec.push(decoding.codes[0, :, pushed:ready], last=decoding.done).numpy()
                pushed = ready
                if samples.shape[1]:
                    yield Chunk(samples, sounded / checkpoint.sample_rate, checkpoint.sample_rate)
                    sounded += samples.shape[1]
            if decoding.done:
                self._take = self._finish(self._played_steering(), self._played_sampling(), decoding.codes[0].cpu())
        finally:
            with self._lock:
                self._ended = True
                self._refuse_turns()

    def _take_turns(self) -> None:
        if self._decoding.between_windows:
            return
        frame = self._decoding.frame
        while True:
            try:
                turn = self._turns.get_nowait()
            except Empty:
                return
            if frame >= self._decoding.request.frames:  # only the delayed codebooks of the last frames are left
                turn.took_effect.set_exception(TonearmError(TOO_LATE))
                continue
            turn.carry_out(frame)
            turn.took_effect.set_result(frame)

    def _refuse_turns(self) -> None:
        while not self._turns.empty():
            self._turns.get_nowait().took_effect.set_exception(TonearmError(TOO_LATE))

    def _played_sampling(self) -> Sampling:
        if not self._guided:
            return self.sampling
        rate = self._decoding.decoder.checkpoint.frame_rate
        schedule = Schedule.steps(self._decoding.sampler.guidance[0].tolist(), rate)
        return replace(self.sampling, guidance=1.0, guidance_schedule=schedule)

    def _played_steering(self) -> Steering:
        """The steering with what was turned written as schedules, so that the sidecar makes the take again."""
        rate = self._decoding.decoder.checkpoint.frame_rate
        steers = list(self.steering.steers)
        for place in self._turned:
            schedule = Schedule.steps(self._decoding.buffers.strengths(0, place), rate)
            steers[place] = steers[place].model_copy(update={"strength": 1.0, "schedule": schedule})
        return Steering(steers=tuple(steers))
