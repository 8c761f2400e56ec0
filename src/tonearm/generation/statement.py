"""Statement of a stream's take: the steering and the prompts that were played, in words.

`Provenance.requested` is the steering at the start of a stream. Knobs that were turned while it
played are schedules of `Provenance.steering`, and `Provenance.stated` has them with their range.
"""

from collections.abc import Sequence

import numpy as np

from tonearm.generation.take import Take
from tonearm.steering.amounts import AmountPlace, amount_places, with_strengths
from tonearm.steering.schedule import Schedule
from tonearm.steering.spec import Steer, Steering
from tonearm.steering.units import ABSOLUTE, unit_named

AT_ZERO = "steered, with all knobs at 0"
START = Schedule(points=((0.0, 1.0),))  # of a steer without a schedule


def played_steering(take: Take) -> str:
    """State the steering of a stream's take, such as `tempo +5 %, brightness 0 to +6.0 st`.

    Knobs that stayed at 0 are left out.

    Args:
        take: of a stream whose rule of combination divides no strengths.
    """
    played = list(take.provenance.steering.steers)
    texts = []
    for steer in take.provenance.stated_steering.steers:
        if not steer.is_calibrated:
            texts.append(_raw_text(played.pop(0)))
            continue
        if steer.vector not in take.vectors:  # at 0, of a vector whose signs failed
            continue
        alone = Steering(steers=(steer,))
        initial = with_strengths(alone, take.vectors, live=True).steers
        places = amount_places(alone, take.vectors)
        own, played = played[: len(places)], played[len(places) :]
        is_turned = any(
            (one.strength, one.schedule) != (two.strength, two.schedule)
            for one, two in zip(own, initial, strict=True)
        )
        if not is_turned and steer.unit in ABSOLUTE:
            texts.append(str(steer))
            continue
        values = _knob_values(steer, places, own) if is_turned else [_requested(steer)]
        texts.append(_knob_text(steer, places, values))
    return ", ".join(filter(None, texts)) or AT_ZERO


def played_prompts(take: Take, frame_rate: float) -> str:
    """State the prompts of a take in their order, with the times from which they were read; "" for
    a take of one prompt.

    Args:
        take: of a session.
        frame_rate: in frames per second.
    """
    first, sections = take.provenance.prompt, take.provenance.sections
    if not sections:
        return ""
    later = [f"from {_clock(one.frame / frame_rate)} “{one.prompt}”" for one in sections]
    return ", ".join([f"“{first}”", *later])


def _requested(steer: Steer) -> float:
    value = steer.amount if steer.target is None else steer.target
    assert value is not None, "a knob has a target or an amount"
    return value


def _knob_values(
    steer: Steer, places: Sequence[AmountPlace], played: Sequence[Steer]
) -> list[float]:
    """Targets, or amounts, of a knob at every breakpoint of its two signs."""
    schedules = [one.schedule or START for one in played]
    times = sorted({seconds for one in schedules for seconds, _ in one.points})
    values = np.zeros(len(times))
    for place, one, schedule in zip(places, played, schedules, strict=True):
        amounts = np.abs(one.raw_strength * schedule.factors(times)) / place.strength
        if steer.target is None or place.response is None:
            values += place.sign * amounts
        else:
            values += [place.response.effect_at(amount) for amount in amounts]
    return [float(value) for value in values]


def _knob_text(steer: Steer, places: Sequence[AmountPlace], values: Sequence[float]) -> str:
    response = next((one.response for one in places if one.response is not None), None)
    if steer.target is None or response is None:
        return _range_text(steer.vector, values, 2, "")
    unit = unit_named(response.unit)
    return _range_text(steer.vector, values, unit.decimals, f" {unit.name}")


def _raw_text(steer: Steer) -> str:
    """A steer with a strength, which research gives; "" for one that does nothing."""
    if steer.schedule is None or steer.level is not None:
        return str(steer) if steer.strength else ""
    factors = [factor for _, factor in steer.schedule.points]
    return _range_text(f"{steer.vector} raw", [steer.raw_strength * one for one in factors], 3, "")


def _range_text(name: str, values: Sequence[float], decimals: int, unit: str) -> str:
    """`name +6.0 st`, or `name 0 to +6.0 st`; "" for values that are all 0."""
    ends = min(values), max(values)
    if not any(ends):
        return ""
    rounded = sorted({round(end, decimals) for end in ends})
    if rounded == [0]:  # small values
        return f"{name} {max(ends, key=abs):+.1g}{unit}"
    texts = [f"{one:+.{decimals}f}" if one else "0" for one in rounded]
    return f"{name} {' to '.join(texts)}{unit}"


def _clock(seconds: float) -> str:
    """Minutes, seconds and tenths, as the players show them."""
    tenths = int(seconds * 10 + 1e-6)
    return f"{tenths // 600}:{tenths // 10 % 60:02}.{tenths % 10}"
