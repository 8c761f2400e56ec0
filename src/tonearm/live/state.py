"""State of a session: everything that a client shows, as plain data."""

from typing import Literal

from tonearm.schema import FrozenModel
from tonearm.steering.spec import Steer

Mode = Literal["live", "phrase"]
MODES: tuple[Mode, ...] = ("live", "phrase")
Listening = Literal["steered", "plain"]


class Identity(FrozenModel):
    """Comparison of the steered with the plain audio of the performance, sample by sample.

    identical  whether all samples are equal so far
    seconds    compared
    differs_at seconds of the performance at which the first difference is; None without one
    steered    sha256 of the steered samples, 16 digits
    plain      likewise of the plain ones
    """

    identical: bool = True
    seconds: float = 0.0
    differs_at: float | None = None
    steered: str = ""
    plain: str = ""


class ProjectionReading(FrozenModel):
    """Projection of the activations on a vector, averaged over about the last half second.

    steered        of the steered stream, before the vector acts
    plain          of the plain one
    in_deviations  both are in standard deviations from the mean over generated frames
    """

    steered: float
    plain: float
    in_deviations: bool


class TakeState(FrozenModel):
    """A performance that has ended.

    number    of the performance
    prompt    at its start
    seed      of its sampling noise
    seconds   of music; 0 until it is ready
    ready     whether it can be exported
    fault     reason why it cannot; empty otherwise
    recorded  recorded sections, in seconds of the performance
    """

    number: int
    prompt: str
    seed: int
    seconds: float = 0.0
    ready: bool = False
    fault: str = ""
    recorded: tuple[tuple[float, float], ...] = ()


class SessionState(FrozenModel):
    """A snapshot of a session.

    status       stopped, starting (measuring the speed), playing, or ended
    mode         live, or phrase where the model is slower than real time
    speed        seconds of both streams per second of computation; None before it is measured
    run          number of the run; a run begins with every start of sound
    performance  number of the performance; 0 before the first
    start        position at which the performance began to sound
    prompt       the music in words
    seed         of the performance, or of the next one; None where that will be a random one
    next_seed    of the next performance; None where it will be a random one
    seed_locked  whether the next performance has the same seed
    controls     values by target
    desk         knobs of the next performance; changes of those of this one act at once
    playing_desk knobs of this performance
    research     additional steers of the next performance or fork
    has_melody   whether performances follow the melody of a file
    listening    which of the two streams is played
    loop_seconds length of the loop; None without one
    loop_bars    bars that were asked for with the loop; 0 without one
    recording    whether a section is being recorded
    lead         seconds between the play head and the newest sample
    lookahead    seconds between a change and the newest sample, at most
    identity     of both streams
    projections  on the vectors of the performance, by name, at its newest frames
    takes        performances that have ended, the newest last
    """

    status: Literal["stopped", "starting", "playing", "ended"]
    mode: Mode | None
    speed: float | None
    run: int
    performance: int
    start: int
    prompt: str
    seed: int | None
    next_seed: int | None
    seed_locked: bool
    controls: dict[str, float]
    desk: tuple[str, ...]
    playing_desk: tuple[str, ...]
    research: tuple[Steer, ...]
    has_melody: bool
    listening: Listening
    loop_seconds: float | None
    loop_bars: int
    recording: bool
    lead: float
    lookahead: float
    identity: Identity
    projections: dict[str, ProjectionReading]
    takes: tuple[TakeState, ...]

    @property
    def knobs(self) -> tuple[str, ...]:
        """Names of the knobs that play, then of further ones of the next performance."""
        return tuple(dict.fromkeys((*self.playing_desk, *self.desk)))
