"""Desk: the knobs of a performance and their values, as the steering that it starts with."""

from collections.abc import Mapping, Sequence

from tonearm.errors import TonearmError
from tonearm.live.manifest import Knob
from tonearm.schema import validated
from tonearm.steering.amounts import with_strengths
from tonearm.steering.controls import Control
from tonearm.steering.spec import Steer, Steering
from tonearm.steering.vector import SteeringVector

RESEARCH_SETTINGS = ("strength", "level")  # of a steer, which controls set while it plays


def steering_of(
    knobs: Sequence[Knob], controls: Mapping[str, float], research: Sequence[Steer] = ()
) -> Steering:
    """The steering that a performance starts with.

    Args:
        knobs: on the desk; those without a value are at 0, so that they can be set later.
        controls: values by target.
        research: further steers, after those of the knobs.
    """
    steers = [steer_of(knob, controls.get(knob.target, 0.0)) for knob in knobs]
    return Steering(steers=(*steers, *research))


def delayed(steer: Steer, seconds: float) -> Steer:
    """The same steer, whose schedules begin `seconds` later."""
    later = {
        name: schedule.delayed(seconds)
        for name in ("schedule", "level_schedule")
        if (schedule := getattr(steer, name)) is not None
    }
    return steer.model_copy(update=later)


def is_set_by(steer: Steer, control: Control) -> bool:
    """Whether a control sets the strength or the level of a steer of the research pane."""
    setting = control.setting
    is_of_both = setting in RESEARCH_SETTINGS and steer.vector == control.vector
    return is_of_both and getattr(steer, str(setting)) is not None


def with_controls(steer: Steer, controls: Mapping[str, float]) -> Steer:
    """A steer of the research pane at the strength and level that were set, if any were."""
    found = {name: controls.get(f"{name}/{steer.vector}") for name in RESEARCH_SETTINGS}
    changes = {
        name: value
        for name, value in found.items()
        if value is not None and getattr(steer, name) is not None
    }
    return steer.model_copy(update=changes)


def steer_of(knob: Knob, value: float) -> Steer:
    """The steer of a knob at a value, in the unit of the knob."""
    setting = knob.target.partition("/")[0]
    fields = {"vector": knob.name, setting: value}
    return validated(Steer, fields, where=f"knob {knob.name}")  # type: ignore[no-any-return]


def check_control(
    control: Control, desk: Sequence[Knob], vectors: Mapping[str, SteeringVector]
) -> None:
    """Check a control of a knob while nothing plays.

    Args:
        control: of any target; others than those of vectors are always possible.
        desk: knobs of the next performance.
        vectors: of the knobs.

    Raises:
        TonearmError: a vector that is not on the desk, another setting than that of the knob, or a
            value outside its range.
    """
    if control.vector is None:
        return
    found = {knob.name: knob for knob in desk}.get(control.vector)
    if found is None:
        names = ", ".join(knob.name for knob in desk) or "nothing"
        raise TonearmError(
            f"knob {control.vector!r} is not on the desk, which has {names}; add it first"
        )
    check_setting(control, found)
    steering = Steering(steers=(steer_of(found, control.value),))
    with_strengths(steering, {found.name: vectors[found.name]}, live=True)


def check_setting(control: Control, knob: Knob) -> None:
    """Raise TonearmError for a control of a knob by another setting than its own."""
    if control.target != knob.target:
        raise TonearmError(f"knob {knob.name!r} is set by {knob.target}, not by {control.target}")
