"""Targets -> amounts: a steer with a target in a physical unit becomes one with an amount, by the
table of its knob (response.py).

A relative target is a change against the same music without steering. An absolute one is counted
from the mean of the calibration's plain takes, so that it is met on average over prompts that say
nothing of the attribute; `tonearm.reach` (tonearm/knobs) measures and meets it take by take.
"""

from collections.abc import Mapping

from tonearm.errors import TonearmError
from tonearm.steering.response import KnobRange
from tonearm.steering.spec import Steer, Steering
from tonearm.steering.vector import SteeringVector


def with_amounts(steering: Steering, vectors: Mapping[str, SteeringVector]) -> Steering:
    """Replace every target by the amount that has it.

    Args:
        steering: steers with targets, amounts or strengths.
        vectors: by the names that it uses.

    Returns:
        The same steering where it has no targets.

    Raises:
        TonearmError: a vector without the table, a unit of another measure, or a target outside the
            range, which the message gives.
    """
    if all(steer.target is None for steer in steering.steers):
        return steering
    steers = []
    for steer in steering.steers:
        if steer.target is not None:
            amount = amount_for(steer, knob_range(vectors[steer.vector], steer.vector))
            steer = steer.model_copy(update={"target": None, "unit": None, "amount": amount})
        steers.append(steer)
    return steering.model_copy(update={"steers": tuple(steers)})


def amount_for(steer: Steer, knob: KnobRange) -> float:
    """The signed amount of a steer with a target.

    Args:
        steer: with a target.
        knob: range of its vector.

    Raises:
        TonearmError: a unit of another measure, or a target outside the range.
    """
    assert steer.target is not None
    unit = knob.unit
    if steer.unit in (None, unit.name):
        return knob.amount_for(steer.target)
    if steer.unit != unit.absolute:
        allowed = " or ".join(filter(None, (unit.name, unit.absolute)))
        raise TonearmError(
            f"steer {steer.vector}: {steer.target:g} {steer.unit} is not of its measure; "
            f"give {allowed}"
        )
    if unit.scale == "log" and steer.target <= 0:
        raise TonearmError(
            f"steer {steer.vector}: {steer.target:g} {steer.unit} is not possible; give above 0"
        )
    effect = unit.change(knob.plain, steer.target)
    asked = (
        f"{steer.target:g} {steer.unit} ({unit.text(effect)} from {knob.plain:.0f} {steer.unit})"
    )
    return knob.amount_for(effect, asked)


def knob_range(vector: SteeringVector, name: str | None = None) -> KnobRange:
    """The range of a calibrated vector.

    Args:
        vector: calibrated, with tables.
        name: in messages; default: the vector's own.

    Raises:
        TonearmError: no sign that passed has a table.
    """
    calibration = vector.info.calibration
    responses = {}
    for sign in (1, -1):
        found = None if calibration is None else calibration.of(sign)
        if found is not None and found.strength is not None and found.response is not None:
            responses[sign] = found.response
    return KnobRange(name or vector.name, responses)
