"""Performance: one twin stream from its start to its end."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from tonearm.audio import Clip
from tonearm.generation.stream import Chunk, Stream
from tonearm.generation.take import Take
from tonearm.live.identity import IdentityMeter
from tonearm.live.looping import Pair
from tonearm.live.projection_meter import ProjectionMeter

MAX_ENTRIES = 10_000  # of a log; a person who plays for an hour makes some hundreds


@dataclass(frozen=True)
class Entry:
    """A line of the log: a command, and the second of the performance at which it acted."""

    seconds: float
    text: str


class Performance:
    """Reads a twin stream piece by piece.

    Args:
        stream: of `Model.stream(..., seconds=None, twin=True)`.
        number: of the performance.
        prompt: at its start.
        seed: of its sampling noise.
        desk: names of its knobs.
        sample_rate: in Hz.
        frame_rate: frames per second.
        skip: samples at the start that were played before: those of an audio prompt.
        melody_start: second of the melody at the start.
        clock: seconds.
    """

    def __init__(
        self,
        stream: Stream,
        *,
        number: int,
        prompt: str,
        seed: int,
        desk: tuple[str, ...],
        sample_rate: int,
        frame_rate: int,
        skip: int = 0,
        melody_start: float = 0.0,
        clock: Callable[[], float] = time.perf_counter,
    ):
        self.stream, self.number, self.prompt, self.seed = stream, number, prompt, seed
        self.desk, self.skip, self.melody_start = desk, skip, melody_start
        self.identity = IdentityMeter(sample_rate)
        self.projections = ProjectionMeter()
        self.log: list[Entry] = []
        self.recorded: list[tuple[int, int]] = []  # first and last sample of the clip
        self.position = skip  # sample of the clip that `next` returns first
        self.computing = 0.0  # seconds that the last piece took
        self.is_new = True  # the last piece has no part of the audio prompt
        self._rate, self._frame_samples = sample_rate, sample_rate // frame_rate
        self._record_from: int | None = None
        self._clock = clock
        self._chunks: Iterator[Chunk] = iter(stream)

    @property
    def seconds(self) -> float:
        """Length so far, audio prompt included."""
        return self.position / self._rate

    def sample_of(self, frame: int) -> int:
        """First sample of the clip at a frame."""
        return frame * self._frame_samples

    def next(self) -> Pair | None:
        """Compute the next piece of both streams; None at the end."""
        begun = self._clock()
        for chunk in self._chunks:
            steered, plain = chunk.samples, chunk.plain
            assert plain is not None, "the stream has no twin"
            first = round(chunk.start * self._rate)
            late = max(0, self.position - first)
            if late >= steered.shape[1]:
                continue
            steered, plain = steered[:, late:], plain[:, late:]
            self.is_new = first + late >= self.sample_of(self.stream.prompt_frames)
            self.position = first + late + steered.shape[1]
            self.identity.add(steered, plain)
            self.projections.add(self.stream.projections, steered.shape[1] / self._rate)
            self.computing = self._clock() - begun
            return steered, plain
        return None

    def note(self, text: str) -> None:
        """Add an entry to the log. The last one that fits states that the log is full; later ones are
        dropped.
        """
        if len(self.log) < MAX_ENTRIES:
            is_last = len(self.log) == MAX_ENTRIES - 1
            text = "the log is full; later commands are left out" if is_last else text
            self.log.append(Entry(round(self.seconds, 3), text))

    def record(self, on: bool, sample: int | None = None) -> bool:
        """Begin or end a recorded section.

        Args:
            on: begin it, where none is being recorded.
            sample: of the clip; default: the newest one.

        Returns:
            False for an end before the begin, as within a loop: that section is left out.
        """
        at = self.position if sample is None else max(self.skip, sample)
        begun = self._record_from
        if on:
            self._record_from = at if begun is None else begun
            return True
        self._record_from = None
        if begun is not None and at > begun:
            self.recorded.append((begun, at))
        return begun is None or at >= begun

    @property
    def recording(self) -> bool:
        return self._record_from is not None

    def finish(self) -> tuple[Take, Take]:
        """End the stream, and return its steered and its plain take, without their audio.

        `Model.decode` makes the audio of the codes again, bit for bit.
        """
        self.stream.stop()
        for _ in self._chunks:
            pass
        takes = (self.stream.take, self.stream.plain_take)
        silence = Clip(np.zeros((len(takes[0].clip.samples), 0), np.float32), self._rate)
        steered, plain = (replace(take, clip=silence) for take in takes)
        return steered, plain
