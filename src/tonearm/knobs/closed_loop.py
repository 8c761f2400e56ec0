"""A knob in a closed loop: the amount of a vector follows the measure of the audio so far.

    target ─► table ─► amount ─► stream ─► audio so far ─► measured change
                 ▲                                              │
                 └────────── error, proportional + integral ◄───┘

The feedforward is the table of the knob. The controller adds the shortfall of the last seconds of audio, at
most as far as the range goes; the integral stands still while the amount is at its limit
(anti-windup), small errors are ignored (deadband), and the amount moves at a limited rate. Its amounts
are written into the take's schedule, so that the take replays without the loop.

This is an experiment: docs/knobs.md tells how it compares with the open loop.
"""

from dataclasses import dataclass, field

import numpy as np

from tonearm import boundary
from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.evaluators.base import BeatTracker
from tonearm.evaluators.load import load_tracker
from tonearm.generation.stream import Stream
from tonearm.generation.take import Take
from tonearm.knobs.goals import Goals, KnobGoal, known_change
from tonearm.knobs.outcome import Outcome
from tonearm.knobs.reaching import TRACKER
from tonearm.model import Model
from tonearm.steering import SteeringLike, SteeringVector, as_steering


@dataclass(frozen=True)
class LoopSettings:
    """Settings of the controller.

    period        seconds between two measurements
    window        seconds of audio that are measured
    proportional  share of an error that is added at once
    integral      share of an error that is added per second
    deadband      error in the unit of the knob, as a share of its range, that is ignored
    rate          amount per second
    """

    period: float = 1.0
    window: float = 3.0
    proportional: float = 0.5
    integral: float = 0.15
    deadband: float = 0.05
    rate: float = 0.5

    def __post_init__(self) -> None:
        for name in ("period", "window", "rate"):
            if not boundary.number(getattr(self, name), name) > 0:
                raise TonearmError(f"{name} is {getattr(self, name):g}; give above 0")
        for name in ("proportional", "integral", "deadband"):
            if not boundary.number(getattr(self, name), name) >= 0:
                raise TonearmError(f"{name} is {getattr(self, name):g}; give 0 or more")


@dataclass
class Controller:
    """Proportional and integral control of the effect of a knob, with anti-windup.

    target    effect that is asked for
    low, high of the effects that the knob has
    settings  of the loop
    wanted    effect that the table is asked for now; at first the target
    """

    target: float
    low: float
    high: float
    settings: LoopSettings
    integral: float = 0.0
    wanted: float = field(init=False)

    def __post_init__(self) -> None:
        self.wanted = self.target

    def update(self, measured: float, seconds: float) -> float:
        """Take a measured effect into account.

        Args:
            measured: effect of the last window.
            seconds: since the last update.

        Returns:
            The effect to ask the table for.
        """
        error = self.target - measured
        if abs(error) <= self.settings.deadband * (self.high - self.low):
            error = 0.0
        pushed = self.integral + self.settings.integral * error * seconds
        raw = self.target + self.settings.proportional * error + pushed
        self.wanted = min(max(raw, self.low), self.high)
        if raw == self.wanted or error * (raw - self.wanted) < 0:
            self.integral = pushed
        return self.wanted


@dataclass(frozen=True)
class Followed:
    """A take that was steered in a closed loop.

    take      with its amounts as schedules
    outcome   of the whole take
    amounts   (second of the clip, amount) at every change
    measured  (second of the clip, effect of the window that ends there)
    """

    take: Take
    outcome: Outcome
    amounts: tuple[tuple[float, float], ...]
    measured: tuple[tuple[float, float], ...]


def follow(
    model: Model,
    prompt: str,
    target: SteeringLike,
    *,
    settings: LoopSettings = LoopSettings(),
    seconds: float = 10.0,
    seed: int = 0,
    reference: float | None = None,
    tracker: BeatTracker | None = None,
) -> Followed:
    """Generate a take whose amount is set in a closed loop.

    Args:
        model: to generate with.
        prompt: the music in words.
        target: one steer with a target, such as "brightness=+3st".
        settings: of the loop.
        seconds: of new music.
        seed: of the take.
        reference: of the measure, from which a change is counted; default: that of the plain twin,
            the take of the same seed without the knob.
        tracker: of tempos; default: the bundled one.

    Raises:
        TonearmError: not one target, one with a schedule or outside the range, or any mistake in the
            arguments.
    """
    steering, given = as_steering(target)
    names = {steer.vector for steer in steering.steers}
    vectors = {name: given[name] if name in given else model.vectors[name] for name in names}
    goals = Goals.of(steering, vectors, tracker or load_tracker(TRACKER))
    if len(goals.knobs) != 1 or goals.tempo is not None or goals.others:
        raise TonearmError("a closed loop follows one target of a vector, such as brightness=+3st")
    (goal,) = goals.knobs
    if goal.steer.schedule is not None:
        raise TonearmError(
            f"{goal.steer.vector}: a target in a closed loop has no schedule, since the loop sets the "
            "amount over time; omit it"
        )
    if not goal.is_relative:
        reference = goal.knob.plain
    elif reference is None:
        reference = goal.reader(model.generate(prompt, seconds=seconds, seed=seed).clip)
    if reference is None:
        raise TonearmError(f"the plain take has no {goal.measure}, so no change can be measured")
    name = goal.steer.vector
    amount = goal.amount(1.0)
    steers: dict[str | SteeringVector, float | str] = {
        vectors[name] if name in given else name: amount
    }
    stream = model.stream(prompt, steer=steers, seconds=seconds, seed=seed)
    loop = _Loop(stream, goal, reference, settings, amount)
    for chunk in stream:
        loop.hear(chunk.samples, chunk.sample_rate)
    take = stream.take
    outcome = goal.outcome(goal.reader(take.clip), reference)
    return Followed(take, outcome, tuple(loop.amounts), tuple(loop.measured))


class _Loop:
    """State of a loop: the audio so far, and the amount that is set."""

    def __init__(
        self,
        stream: Stream,
        goal: KnobGoal,
        reference: float,
        settings: LoopSettings,
        amount: float,
    ):
        self.stream, self.goal, self.reference = stream, goal, reference
        self.settings, self.amount = settings, amount
        self.controller = Controller(goal.effect, goal.knob.low, goal.knob.high, settings)
        self.audio: list[np.ndarray] = []
        self.samples = self.due = 0
        self.amounts: list[tuple[float, float]] = [(0.0, amount)]
        self.measured: list[tuple[float, float]] = []

    def hear(self, samples: np.ndarray, rate: int) -> None:
        """Take the next audio [C, m] in; at the end of a period, measure and set the amount."""
        self.audio.append(samples)
        self.samples += samples.shape[1]
        if not self.due:
            self.due = round(self.settings.window * rate)
        if self.samples < self.due:
            return
        self.due += round(self.settings.period * rate)
        window = np.concatenate(self.audio, axis=1)[:, -round(self.settings.window * rate) :]
        value = self.goal.reader(Clip(window, rate))
        effect = known_change(self.goal.knob.unit, self.reference, value)
        if effect is None:
            return
        now = self.samples / rate
        self.measured.append((now, effect))
        wanted = self.controller.update(effect, self.settings.period)
        reach = self.settings.rate * self.settings.period
        goal = self.goal.knob.amount_for(wanted)
        self.amount += min(max(goal - self.amount, -reach), reach)
        self.stream.set_amount(self.goal.steer.vector, self.amount)
        self.amounts.append((now, self.amount))
