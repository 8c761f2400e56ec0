"""A knob in a closed loop: its vector follows the measure of the audio so far.

    target ─► table ─► actuator ─► stream ─► audio so far ─► measured change
                 ▲                                                 │
                 └─── controller: proportional + integral ◄────────┘

The feedforward is the table of the knob. The controller adds the shortfall of the last seconds of
audio, at most as far as the range goes; the integral stands still while the effect is at its limit
(anti-windup), small errors are ignored (deadband), and the actuator moves at a limited rate. Its
values are written into the take's schedule, so that the take replays without the loop.

A few seconds have no certain tempo. Its loop therefore follows the onset rate, whose relative change
it takes for that of the tempo.

This is an experiment: docs/knobs.md tells how it compares with the open loop.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.evaluators.base import BeatTracker
from tonearm.evaluators.load import load_tracker
from tonearm.generation.stream import Stream
from tonearm.generation.take import Take
from tonearm.knobs.actuators import Actuator, AmountActuator, LevelActuator
from tonearm.knobs.controller import Controller, LoopSettings
from tonearm.knobs.goals import Goals, KnobGoal, known_change
from tonearm.knobs.outcome import Outcome
from tonearm.knobs.reaching import TRACKER
from tonearm.knobs.readers import TEMPOS, Reader, reader_of
from tonearm.model import Model
from tonearm.steering import SteeringLike, SteeringVector, as_steering


@dataclass(frozen=True)
class Followed:
    """A take that was steered in a closed loop.

    take      with its amounts or levels as schedules
    outcome   of the whole take
    values    (second of the clip, amount or level) at every change
    measured  (second of the clip, effect of the window that ends there)
    """

    take: Take
    outcome: Outcome
    values: tuple[tuple[float, float], ...]
    measured: tuple[tuple[float, float], ...]


def follow(
    model: Model,
    prompt: str,
    target: SteeringLike,
    *,
    settings: LoopSettings = LoopSettings(),
    levels: Sequence[tuple[float, float]] | None = None,
    seconds: float = 10.0,
    seed: int = 0,
    plain: Sequence[Clip] | None = None,
    tracker: BeatTracker | None = None,
) -> Followed:
    """Generate a take whose vector is set in a closed loop.

    Args:
        model: to generate with.
        prompt: the music in words.
        target: one steer with a target, such as "brightness=+3st".
        settings: of the loop.
        levels: (level, effect) of operator `set`, which then holds the projection at every frame as
            an inner loop; default: the loop sets the amount. The vector needs frame scales.
        seconds: of new music.
        seed: of the take.
        plain: takes of the prompt without the knob, from whose mean a change is counted; default: the
            plain twin, the take of the same seed.
        tracker: of tempos; default: the bundled one.

    Raises:
        TonearmError: not one target, one with a schedule or outside the range, plain takes without the
            measure, or any mistake in the arguments.
    """
    steering, given = as_steering(target)
    names = {steer.vector for steer in steering.steers}
    vectors = {name: given[name] if name in given else model.vectors[name] for name in names}
    tracker = tracker or load_tracker(TRACKER)
    goals = Goals.of(steering, vectors, tracker)
    if len(goals.knobs) != 1 or goals.tempo is not None or goals.others:
        raise TonearmError("a closed loop follows one target of a vector, such as brightness=+3st")
    (goal,) = goals.knobs
    if goal.steer.monitor is not None:
        raise TonearmError(
            f"{goal.steer.vector}: a target in a closed loop has no monitor, since the loop decides "
            "when and how far the vector acts; omit it"
        )
    reader = reader_of("onset_rate", tracker) if goal.measure in TEMPOS else goal.reader
    if goal.is_relative and plain is None:
        plain = [model.generate(prompt, seconds=seconds, seed=seed).clip]
    reference = followed = _reference(goal, goal.reader, plain or ())
    if reader is not goal.reader:
        followed = _reference(goal, reader, plain or ())
    actuator = AmountActuator(goal.knob) if levels is None else LevelActuator(levels)
    name = goal.steer.vector
    value = actuator.value_for(goal.effect)
    steers: dict[str | SteeringVector, float | str] = {
        vectors[name] if name in given else name: actuator.steer(value)
    }
    stream = model.stream(prompt, steer=steers, seconds=seconds, seed=seed)
    loop = _Loop(stream, goal, reader, followed, settings, actuator, value)
    for chunk in stream:
        loop.take_in(chunk.samples, chunk.sample_rate)
    take = stream.take
    outcome = goal.outcome(goal.reader(take.clip), reference)
    return Followed(take, outcome, tuple(loop.values), tuple(loop.measured))


def _reference(goal: KnobGoal, reader: Reader, plain: Sequence[Clip]) -> float:
    """The measure that a change is counted from; of a level, that of the calibration.

    Raises:
        TonearmError: it is not defined.
    """
    if not goal.is_relative:
        return goal.knob.plain
    value = goal.mean([reader(clip) for clip in plain])
    if value is None:
        raise TonearmError(f"the plain take has no {goal.measure}, so no change can be measured")
    return value


class _Loop:
    """State of a loop: the audio so far, and the value that is set.

    Args:
        stream: that plays.
        goal: of its vector.
        reader: of the measure that is followed.
        reference: of that measure, from which effects are counted.
        settings: of the loop.
        actuator: that is set.
        value: of it at the start.
    """

    def __init__(
        self,
        stream: Stream,
        goal: KnobGoal,
        reader: Reader,
        reference: float,
        settings: LoopSettings,
        actuator: Actuator,
        value: float,
    ):
        self.stream, self.goal, self.reader, self.reference = stream, goal, reader, reference
        self.settings, self.actuator, self.value = settings, actuator, value
        self.controller = Controller(goal.effect, goal.knob.low, goal.knob.high, settings)
        self.audio: list[np.ndarray] = []
        self.samples = self.due = 0
        self.values: list[tuple[float, float]] = [(0.0, value)]
        self.measured: list[tuple[float, float]] = []

    def take_in(self, samples: np.ndarray, rate: int) -> None:
        """Take the next audio [C, m] in; at the end of a period, measure and set the value."""
        self.audio.append(samples)
        self.samples += samples.shape[1]
        if not self.due:
            self.due = round(self.settings.window * rate)
        if self.samples < self.due:
            return
        self.due += round(self.settings.period * rate)
        window = np.concatenate(self.audio, axis=1)[:, -round(self.settings.window * rate) :]
        self.audio = [window]
        effect = known_change(self.goal.knob.unit, self.reference, self.reader(Clip(window, rate)))
        if effect is None:
            return
        now = self.samples / rate
        self.measured.append((now, effect))
        wanted = self.controller.update(effect, self.settings.period)
        reach = self.settings.rate * self.settings.period * self.actuator.span
        towards = self.actuator.value_for(wanted)
        self.value += min(max(towards - self.value, -reach), reach)
        self.actuator.set(self.stream, self.goal.steer.vector, self.value)
        self.values.append((now, self.value))
