"""Amounts: calibrated strengths and configurations, per sign."""

import numpy as np
import pytest

from tests.steering.vectors import random_vector
from tonearm import Schedule, Steer, Steering, TonearmError
from tonearm.steering import Calibration, Configuration, SignCalibration, with_strengths
from tonearm.steering.amounts import amount_places
from tonearm.steering.vector import SteeringVector

UP = SignCalibration(
    strength=0.2, configuration=Configuration(operator="rotate", layers=(1, 2), source_layer=1)
)
DOWN = SignCalibration(strength=0.05, configuration=Configuration(ramp=1.0))
FAILED = SignCalibration(failure="no effect")


def calibrated(positive=UP, negative=DOWN, name="tempo"):
    vector = random_vector(name=name)
    calibration = Calibration(positive=positive, negative=negative)
    return SteeringVector(
        vector.directions, vector.info.model_copy(update={"calibration": calibration})
    )


def strengths(*steers, live=False, **signs):
    vectors = {"tempo": calibrated(**signs)}
    return with_strengths(Steering(steers=steers), vectors, live).steers


def test_an_amount_takes_strength_and_configuration_of_its_sign():
    (up,) = strengths(Steer(vector="tempo", amount=0.5))
    assert up == Steer(
        vector="tempo", strength=0.1, operator="rotate", layers=(1, 2), source_layer=1
    )
    (down,) = strengths(Steer(vector="tempo", amount=-2))
    assert down == Steer(vector="tempo", strength=-0.1, schedule=Schedule.ramp(0, 1))


def test_an_amount_beyond_the_strengths_of_its_operator_is_refused():
    turn = SignCalibration(strength=0.4, configuration=Configuration(operator="slerp"))
    (steer,) = strengths(Steer(vector="tempo", amount=2.5), positive=turn)
    assert (steer.operator, steer.strength) == ("slerp", 1.0)
    with pytest.raises(TonearmError, match=r"tempo: amount 3: strength 1\.2 is beyond ±1") as error:
        strengths(Steer(vector="tempo", amount=3), positive=turn)
    assert "\n" not in str(error.value)


def test_amount_0_steers_nothing_and_strengths_stay_as_they_are():
    assert strengths(Steer(vector="tempo", amount=0)) == ()
    steering = Steering(steers=(Steer(vector="jazz", strength=3),))
    assert with_strengths(steering, {}) is steering
    both = strengths(Steer(vector="jazz", strength=3), Steer(vector="tempo", amount=-1))
    assert [steer.strength for steer in both] == [3, -0.05]


def test_a_schedule_that_changes_sign_becomes_one_steer_per_sign():
    crossing = Schedule(points=((0, 1), (4, -1), (6, -1)))
    up, down = strengths(Steer(vector="tempo", amount=2, schedule=crossing))
    times = np.linspace(0, 6, 61)
    amounts = 2 * crossing.factors(times)
    assert np.allclose(up.strength * up.schedule.factors(times), 0.2 * np.maximum(amounts, 0))
    assert np.allclose(down.strength * down.schedule.factors(times), 0.05 * np.minimum(amounts, 0))


def test_a_schedule_replaces_the_ramp():
    window = Schedule.window(2, 4)
    (steer,) = strengths(Steer(vector="tempo", amount=-1, schedule=window))
    times = np.linspace(0, 6, 61)
    expected = -0.05 * window.factors(times)
    assert np.allclose(steer.strength * steer.schedule.factors(times), expected)


def test_a_stream_keeps_both_signs():
    steering = Steering(
        steers=(Steer(vector="jazz", strength=1), Steer(vector="tempo", amount=0.5))
    )
    vectors = {"tempo": calibrated(), "jazz": random_vector(name="jazz")}
    live = with_strengths(steering, vectors, live=True).steers
    assert [steer.strength for steer in live] == [1, 0.1, 0]
    places = amount_places(steering, vectors)
    assert [(place.position, place.sign) for place in places] == [(1, 1), (2, -1)]
    for amount, expected in ((0.5, [0.1, 0]), (-1, [0, -0.05]), (0, [0, 0])):
        assert [place.strength_at(amount) for place in places] == pytest.approx(expected)


def test_a_sign_that_failed_has_no_amounts():
    with pytest.raises(TonearmError, match=r"its \+ sign has no amounts \(no effect\)"):
        strengths(Steer(vector="tempo", amount=1), positive=FAILED)
    assert strengths(Steer(vector="tempo", amount=-1), positive=FAILED)
    assert len(strengths(Steer(vector="tempo", amount=0), positive=FAILED, live=True)) == 1


def test_a_vector_without_calibration_is_refused_with_the_remedy():
    steering = Steering(steers=(Steer(vector="tempo", amount=1),))
    with pytest.raises(TonearmError, match=r"tonearm calibrate.*tempo=raw:"):
        with_strengths(steering, {"tempo": random_vector(name="tempo")})


def test_algebra_loses_the_calibration():
    vector, other = calibrated(), random_vector(name="jazz", seed=1)
    for changed in (2 * vector, -vector, vector + other, vector.random_like(1)):
        assert changed.info.calibration is None
    assert vector.renamed("speed").info.calibration == vector.info.calibration


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"amount": 1, "strength": 1}, "and one alone"),
        ({"amount": None, "strength": None}, "give a target"),
        ({"amount": 11}, "beyond"),
        ({"amount": 6, "schedule": Schedule.ramp(0, 1, last=2)}, "beyond"),
        ({"amount": 1, "operator": "rotate"}, "operator comes from the calibration"),
        ({"amount": 1, "layers": (1,)}, "layers comes from the calibration"),
    ],
)
def test_wrong_amounts_are_refused(fields, message):
    with pytest.raises(TonearmError, match=message):
        Steer(vector="tempo", **fields)


def test_an_amount_has_no_strength():
    with pytest.raises(TonearmError, match="has an amount"):
        _ = Steer(vector="tempo", amount=1).raw_strength
    assert Steer(vector="tempo").raw_strength == 1


def test_a_sign_either_has_a_strength_or_has_failed():
    for fields in ({}, {"strength": 1, "failure": "no effect"}, {"strength": 0}):
        with pytest.raises(TonearmError):
            SignCalibration(**fields)
