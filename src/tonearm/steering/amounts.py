"""Amounts -> strengths: a steer with an amount becomes steers with a calibrated strength. Targets
become amounts first (targets.py).

The two signs of a vector can have different configurations, so an amount becomes one steer per sign
that it takes. Both are kept for a stream, where the amount can be set while it plays.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tonearm import boundary
from tonearm.errors import TonearmError
from tonearm.schema import validated
from tonearm.steering.calibration import SignCalibration
from tonearm.steering.response import Response
from tonearm.steering.schedule import Schedule
from tonearm.steering.spec import Steer, Steering
from tonearm.steering.targets import with_amounts
from tonearm.steering.vector import SteeringVector

POSITIVE, NEGATIVE = 1, -1


@dataclass(frozen=True)
class AmountPlace:
    """One sign of a steer with an amount, among the steers with strengths.

    vector    name of the vector
    position  index of the steer of this sign
    sign      1 or -1
    strength  raw strength of an amount of 1, above 0
    response  effect over amounts; None for a sign without a table
    """

    vector: str
    position: int
    sign: int
    strength: float
    response: Response | None = None

    def strength_at(self, amount: float) -> float:
        """Signed strength of this sign's steer at an amount; 0 where the amount has the other."""
        return self.sign * self.strength * max(0.0, self.sign * amount)


def with_strengths(
    steering: Steering, vectors: Mapping[str, SteeringVector], live: bool = False
) -> Steering:
    """Replace every target and amount by its calibrated strength and configuration.

    Args:
        steering: steers with targets, amounts or strengths.
        vectors: by the names that it uses.
        live: keep both signs of an amount, so that it can be set while decoding.

    Returns:
        The same steering where it has neither targets nor amounts.

    Raises:
        TonearmError: a vector without a calibration, an amount of a sign that failed it, or a
            target outside the range of its vector, or a strength that its operator does not allow.
    """
    boundary.instance(steering, "steering", Steering, "a Steering")
    if not isinstance(vectors, Mapping):
        raise boundary.refusal(vectors, "vectors", "a mapping of names to SteeringVectors")
    if not any(steer.is_calibrated for steer in steering.steers):
        return steering
    steering = with_amounts(steering, vectors)
    steers: list[Steer] = []
    for steer in steering.steers:
        if steer.amount is None:
            steers.append(steer)
            continue
        signs = _signs(steer, vectors[steer.vector], live)
        steers += [_of_sign(steer, sign, found) for sign, found in signs]
    return steering.model_copy(update={"steers": tuple(steers)})


def amount_places(
    steering: Steering, vectors: Mapping[str, SteeringVector]
) -> tuple[AmountPlace, ...]:
    """Find the steers that `with_strengths(..., live=True)` makes of amounts.

    Args:
        steering: before the replacement.
        vectors: by the names that it uses.

    Returns:
        One place per sign that passed its calibration.
    """
    places, position = [], 0
    for steer in with_amounts(steering, vectors).steers:
        if steer.amount is None:
            position += 1
            continue
        for sign, found in _signs(steer, vectors[steer.vector], live=True):
            assert found.strength is not None
            places.append(AmountPlace(steer.vector, position, sign, found.strength, found.response))
            position += 1
    return tuple(places)


def _signs(steer: Steer, vector: SteeringVector, live: bool) -> list[tuple[int, SignCalibration]]:
    """The signs that a steer takes, or may take in a stream, with their calibration."""
    calibration = vector.info.calibration
    if calibration is None:
        raise TonearmError(
            f"steer {steer.vector}: the vector has no calibration, so it has no amounts; run "
            f"`tonearm calibrate` on it, or give a strength, such as {steer.vector}=raw:0.1"
        )
    amounts = _amounts(steer)
    chosen = []
    for sign in (POSITIVE, NEGATIVE):
        is_taken = any(sign * amount > 0 for amount in amounts)
        found = calibration.of(sign)
        if is_taken and found.strength is None:
            raise TonearmError(
                f"steer {steer.vector}: its {'+' if sign > 0 else '-'} sign has no amounts "
                f"({found.failure}); give a strength, such as "
                f"{steer.vector}=raw:{sign * 0.05:+g}"
            )
        if found.strength is not None and (is_taken or live):
            chosen.append((sign, found))
    return chosen


def _amounts(steer: Steer) -> list[float]:
    """The amount at every breakpoint of the schedule."""
    assert steer.amount is not None
    factors = [factor for _, factor in steer.schedule.points] if steer.schedule else [1.0]
    return [steer.amount * factor for factor in factors]


def _of_sign(steer: Steer, sign: int, found: SignCalibration) -> Steer:
    """The steer of one sign, with a strength."""
    assert steer.amount is not None and found.strength is not None
    configuration = found.configuration
    schedule, strength = steer.schedule, sign * found.strength * max(0.0, sign * steer.amount)
    if schedule is not None:
        schedule = schedule.scaled(sign * steer.amount).clipped()
        strength = sign * found.strength
    elif configuration.ramp and strength:
        schedule = Schedule.ramp(0.0, configuration.ramp)
    fields = configuration.model_dump(exclude={"ramp"})
    fields |= {"vector": steer.vector, "strength": strength, "schedule": schedule}
    fields["monitor"] = steer.monitor
    where = f"steer {steer.vector}: amount {steer.amount:g}"
    return validated(Steer, fields, where=where)  # type: ignore[no-any-return]
