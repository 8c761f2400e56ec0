"""The controller on planted plants, and the loop on a stream."""

import numpy as np
import pytest

import tonearm.knobs.goals as goals
from tests.knobs.planted import knob_of
from tonearm import Steer, TonearmError, replay
from tonearm.knobs.closed_loop import Controller, LoopSettings, follow
from tonearm.model import Model

SETTINGS = LoopSettings(deadband=0)


def controlled(plant, target, steps=60, settings=SETTINGS, low=-6.0, high=6.0):
    """Effects of a plant, a function of the wanted effect, under control."""
    controller = Controller(target, low, high, settings)
    effects = []
    for _ in range(steps):
        effects.append(plant(controller.wanted))
        controller.update(effects[-1], settings.period)
    return controller, effects


@pytest.mark.parametrize("gain", [0.5, 0.8, 1.0, 1.3])
def test_a_plant_of_another_gain_reaches_the_target(gain):
    _, effects = controlled(lambda wanted: gain * wanted, 2.0)
    assert effects[-1] == pytest.approx(2.0, abs=0.05)
    assert max(map(abs, effects)) < 2 * 2.0


def test_an_exact_table_is_left_alone():
    controller, effects = controlled(lambda wanted: wanted, 3.0)
    assert effects == [3.0] * 60 and controller.integral == 0


def test_an_error_within_the_deadband_is_ignored():
    settings = LoopSettings(deadband=0.1)
    controller, _ = controlled(lambda wanted: wanted + 1.0, 2.0, settings=settings)
    assert controller.wanted == 2.0


def test_the_integral_does_not_wind_up_at_the_end_of_the_range():
    """After minutes out of reach, the loop is back within a few periods."""
    controller, effects = controlled(lambda wanted: 0.2 * wanted, 4.0, steps=200)
    assert controller.wanted == 6.0 and effects[-1] == pytest.approx(1.2)
    for _ in range(6):
        controller.update(controller.wanted, 1.0)
    assert controller.wanted == pytest.approx(4.0, abs=0.6)


def test_the_wanted_effect_stays_in_the_range():
    controller, _ = controlled(lambda wanted: -3 * wanted, 4.0)
    assert -6 <= controller.wanted <= 6


@pytest.mark.parametrize(
    "fields", [{"period": 0}, {"window": -1}, {"rate": 0}, {"integral": -1}, {"deadband": -0.1}]
)
def test_impossible_settings_are_refused(fields):
    with pytest.raises(TonearmError, match="give"):
        LoopSettings(**fields)


def test_the_amounts_of_a_loop_are_a_schedule_that_replays(melody, monkeypatch, tmp_path):
    """A descriptor that always says "too little" drives the amount up at its limited rate."""
    vector = knob_of(melody, limit=4.0)
    monkeypatch.setattr(goals, "reader_of", lambda measure, tracker: lambda clip: 1000.0)
    settings = LoopSettings(period=0.1, window=0.2, rate=1.0)
    followed = follow(
        melody, "a folk tune", {vector: "+2st"}, settings=settings, seconds=1.0, seed=3
    )
    amounts = [amount for _, amount in followed.amounts]
    assert amounts[0] == pytest.approx(0.5) and amounts == sorted(amounts)
    assert amounts[-1] > 0.7 and np.diff(amounts).max() <= 0.1 + 1e-9
    assert all(effect == 0 for _, effect in followed.measured)
    assert followed.outcome.measured == 0 and not followed.outcome.is_met
    take = followed.take
    strengths = [steer.schedule for steer in take.provenance.steering.steers]
    assert any(schedule is not None for schedule in strengths)
    again = replay(take.save(tmp_path / "followed.wav"), model=melody)
    assert again.identical


def test_a_loop_has_one_target(melody):
    vector = knob_of(melody)
    for target in ({vector: 1}, {vector: "+1st", "tempo": "120bpm"}, {"tempo": "120bpm"}):
        with pytest.raises(TonearmError):
            follow(melody, "a folk tune", target)


def test_a_target_with_a_schedule_is_refused(melody):
    """The loop sets the amount over time, and would not follow it."""
    steer = Steer(vector="brightness", target=1.0, unit="st", schedule={"points": [[0, 0], [1, 1]]})
    model = Model(melody.checkpoint)
    model.vectors["brightness"] = knob_of(melody)
    with pytest.raises(TonearmError, match="in a closed loop has no schedule"):
        follow(model, "a folk tune", steer)
