"""Targets become amounts by the table of the knob, and nothing outside its range is clipped."""

import pytest

from tests.steering.vectors import random_vector
from tonearm import TonearmError
from tonearm.steering import (
    Calibration,
    SignCalibration,
    Steer,
    Steering,
    as_steering,
    with_strengths,
)
from tonearm.steering.amounts import amount_places
from tonearm.steering.combination import with_combined_strengths
from tonearm.steering.response import POINTS, KnobRange, Response, ResponsePoint
from tonearm.steering.targets import knob_range, with_amounts


def response(limit, unit="st", plain=1000.0, power=1.0):
    """Effect limit * amount ** power."""
    points = [
        ResponsePoint(amount=i / 10, effect=limit * (i / 10) ** power, low=0, high=0)
        for i in range(POINTS)
    ]
    return Response(
        measure="spectral_centroid", unit=unit, plain=plain, points=tuple(points), prompts=30
    )


def knob(positive=4.0, negative=-8.0, **settings):
    signs = {}
    for name, limit, strength in (("positive", positive, 0.5), ("negative", negative, 0.25)):
        signs[name] = (
            SignCalibration(failure="no effect")
            if limit is None
            else SignCalibration(strength=strength, response=response(limit, **settings))
        )
    vector = random_vector(name="brightness", calibration=Calibration(**signs))
    return {"brightness": vector}


def amount_of(target, vectors, unit=None):
    steering = Steering(steers=(Steer(vector="brightness", target=target, unit=unit),))
    (steer,) = with_amounts(steering, vectors).steers
    assert steer.target is None and steer.unit is None
    return steer.amount


def test_a_target_becomes_the_amount_that_has_its_effect():
    assert amount_of(2, knob()) == pytest.approx(0.5)
    assert amount_of(-2, knob()) == pytest.approx(-0.25)
    assert amount_of(4, knob()) == pytest.approx(1)
    assert amount_of(0, knob()) == 0
    assert amount_of(1, knob(power=2.0)) == pytest.approx(0.5)


def test_an_absolute_target_is_counted_from_the_plain_mean():
    assert amount_of(1000 * 2 ** (2 / 12), knob(), "hz") == pytest.approx(0.5)
    assert amount_of(1000, knob(), "hz") == pytest.approx(0)
    assert amount_of(-18, knob(unit="lu", plain=-20.0), "lufs") == pytest.approx(0.5)


def test_the_strength_is_that_of_the_amount():
    steering, vectors = as_steering("brightness=+2st")[0], knob()
    (steer,) = with_strengths(steering, vectors).steers
    assert steer.strength == pytest.approx(0.25)
    live = with_strengths(steering, vectors, live=True)
    assert [steer.strength for steer in live.steers] == pytest.approx([0.25, 0])
    assert [place.sign for place in amount_places(steering, vectors)] == [1, -1]


@pytest.mark.parametrize(
    ("target", "unit", "message"),
    [
        (5, None, r"\+5\.0 st is outside its range, -8\.0 st to \+4\.0 st"),
        (-9, "st", r"-9\.0 st is outside its range"),
        (3000, "hz", r"3000 hz \(\+19\.0 st from 1000 hz\) is outside its range"),
        (-5, "hz", "-5 hz is not possible; give above 0"),
        (2, "lu", "2 lu is not of its measure; give st or hz"),
    ],
)
def test_a_target_that_the_knob_does_not_have_is_refused_with_its_range(target, unit, message):
    with pytest.raises(TonearmError, match=message):
        amount_of(target, knob(), unit)


def test_a_sign_that_failed_has_no_range():
    with pytest.raises(TonearmError, match=r"outside its range, 0\.0 st|outside its range, \+0\.0"):
        amount_of(-1, knob(negative=None))
    with pytest.raises(TonearmError, match=r"no table of responses.*tonearm calibrate"):
        amount_of(1, knob(None, None))
    with pytest.raises(TonearmError, match="no table of responses"):
        amount_of(1, {"brightness": random_vector(name="brightness")})


def test_a_measure_that_falls_with_the_amount_has_a_range_too():
    """The positive sign of a vector may lower its measure, as `drums` taken the other way."""
    vectors = knob(positive=-6.0, negative=3.0)
    assert amount_of(-3, vectors) == pytest.approx(0.5)
    assert amount_of(1.5, vectors) == pytest.approx(-0.5)
    assert str(knob_range(vectors["brightness"])) == "-6.0 st to +3.0 st"


def test_a_flat_piece_of_a_table_has_its_smallest_amount():
    points = [
        ResponsePoint(amount=i / 10, effect=min(i, 4) / 4, low=0, high=0) for i in range(POINTS)
    ]
    flat = Response(
        measure="spectral_centroid", unit="st", plain=1000, points=tuple(points), prompts=3
    )
    assert flat.amount_for(1.0) == pytest.approx(0.4)
    assert KnobRange("v", {1: flat}).amount_for(0.5) == pytest.approx(0.2)


@pytest.mark.parametrize(
    "effects",
    [[0, 1, 2, 1, 3, 4, 5, 6, 7, 8, 9], [1] * 11, [0, -1, 1, 2, 3, 4, 5, 6, 7, 8, 9]],
)
def test_a_table_that_turns_back_or_does_not_begin_at_0_is_refused(effects):
    points = tuple(
        ResponsePoint(amount=i / 10, effect=effect, low=0, high=0)
        for i, effect in enumerate(effects)
    )
    with pytest.raises(TonearmError, match="effects do not begin at 0, or turn back"):
        Response(measure="spectral_centroid", unit="st", plain=1000, points=points, prompts=3)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"target": 1, "amount": 1}, "and one alone"),
        ({"unit": "st", "amount": 1}, "unit st belongs to a target"),
        ({"target": 1, "operator": "rotate"}, "operator comes from the calibration where a target"),
        ({"target": float("nan")}, "finite"),
        ({"target": 1, "unit": "furlongs"}, "unit"),
        (
            {"target": 1, "schedule": {"points": [[0, 0], [5, -3]]}},
            "schedule of a target has the factor -3, .*use -1 to 1",
        ),
    ],
)
def test_wrong_targets_are_refused(fields, message):
    with pytest.raises(TonearmError, match=message):
        Steer(vector="v", **fields)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(unit="st", plain=0.0), "plain 0 is not possible for st"),
        (dict(unit="hz"), "unit hz is absolute"),
    ],
)
def test_a_table_without_a_scale_is_refused(settings, message):
    with pytest.raises(TonearmError, match=message):
        response(4.0, **settings)


def test_targets_read_as_they_are_written():
    for text, shown in (
        ("brightness=+3st", "brightness +3 st"),
        ("tempo=128bpm", "tempo 128 bpm"),
        ("loudness=-4 LU", "loudness -4 lu"),
    ):
        assert str(as_steering(text)[0]) == shown
    (steer,) = as_steering({"brightness": "+3st@2-6"})[0].steers
    assert (steer.target, steer.unit) == (3, "st") and steer.schedule is not None


def test_a_rule_of_combination_counts_targets():
    vectors = knob() | {"other": random_vector(name="other", seed=2)}
    steers = (
        Steer(vector="brightness", target=2.0),
        Steer(vector="other", strength=1.0),
        Steer(vector="brightness", target=0.0),
    )
    found = with_combined_strengths(Steering(steers=steers, combine="mean"), vectors)
    assert [steer.strength for steer in found.steers] == pytest.approx([0.125, 0.5])


def test_an_absolute_target_of_0_is_not_left_out():
    """0 LUFS is a loudness, and out of reach; 0 LU is no change."""
    vectors = knob(unit="lu", plain=-20.0)
    absolute = Steer(vector="brightness", target=0.0, unit="lufs")
    with pytest.raises(TonearmError, match="outside its range"):
        with_combined_strengths(Steering(steers=(absolute,), combine="orthogonal"), vectors)
    relative = absolute.model_copy(update={"unit": "lu"})
    found = with_combined_strengths(Steering(steers=(relative,), combine="orthogonal"), vectors)
    assert not found.steers
