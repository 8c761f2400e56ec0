"""A take that sounds while it is decoded, and can be turned while it sounds.

stream = model.stream("a folk tune with flute", steer={"brightness": 0}, seconds=10)
for chunk in stream:                       # in one thread
    play(chunk.samples)
stream.turn("brightness", 0.2).result()    # from another: the frame at which it took effect
stream.take.save("played.wav")             # what was turned stands in its sidecar, as a schedule
"""

from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from tonearm.errors import TonearmError
from tonearm.musicgen.decoding import Decoding
from tonearm.musicgen.streaming_codec import StreamingCodec
from tonearm.steering.schedule import Schedule
from tonearm.steering.spec import Steer, Steering, validated

if TYPE_CHECKING:
    from collections.abc import Callable

    from tonearm.take import Take


TOO_LATE = "the stream ended before the turn took effect"


@dataclass(frozen=True)
class Chunk:
    """The next piece of audio: float32 samples [C, m], which begin `start` seconds into the clip."""

    samples: np.ndarray
    start: float
    sample_rate: int


@dataclass(frozen=True)
class _Turn:
    place: int
    strength: float
    took_effect: Future[int]


class Stream:
    """Iterate it once, for the audio. `turn` and `cancel` may be called from other threads at any time."""

    def __init__(
        self,
        decoding: Decoding,
        codec: StreamingCodec,
        steering: Steering,
        chunk_frames: int,
        finish: "Callable[[Steering, Decoding], Take]",
    ):
        self.steering = steering
        self._decoding, self._codec, self._chunk_frames, self._finish = decoding, codec, chunk_frames, finish
        self._turns: SimpleQueue[_Turn] = SimpleQueue()
        self._turned: set[int] = set()
        self._lock = Lock()
        self._cancelled = self._ended = False
        self._take: Take | None = None

    @property
    def lookahead(self) -> float:
        """Seconds by which a frame is heard later than it is decided: the codebook delay and what the codec has to see first."""
        checkpoint = self._decoding.state.decoder.checkpoint
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
        turns = [_Turn(place, strength, Future()) for place in places]
        with self._lock:
            if self._ended:
                raise TonearmError("the stream has ended; begin another one")
            for turn in turns:
                self._turns.put(turn)
        return turns[-1].took_effect

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
        if self._ended or self._decoding.state.length:
            raise TonearmError("a stream can be played once; begin another one")
        decoding, pushed, sounded = self._decoding, 0, 0
        checkpoint = decoding.state.decoder.checkpoint
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
                self._take = self._finish(self._played(), decoding)
        finally:
            with self._lock:
                self._ended = True
                self._refuse_turns()

    def _take_turns(self) -> None:
        frame = self._decoding.position - 1
        while True:
            try:
                turn = self._turns.get_nowait()
            except Empty:
                return
            if frame >= self._decoding.request.frames:  # only the delayed codebooks of the last frames are left
                turn.took_effect.set_exception(TonearmError(TOO_LATE))
                continue
            self._decoding.buffers.turn(0, turn.place, turn.strength, frame)
            self._turned.add(turn.place)
            turn.took_effect.set_result(frame)

    def _refuse_turns(self) -> None:
        while not self._turns.empty():
            self._turns.get_nowait().took_effect.set_exception(TonearmError(TOO_LATE))

    def _played(self) -> Steering:
        """The steering with what was turned written as schedules, so that the sidecar makes the take again."""
        rate = self._decoding.state.decoder.checkpoint.frame_rate
        steers = list(self.steering.steers)
        for place in self._turned:
            schedule = Schedule.steps(self._decoding.buffers.strengths(0, place), rate)
            steers[place] = steers[place].model_copy(update={"strength": 1.0, "schedule": schedule})
        return Steering(steers=tuple(steers))
