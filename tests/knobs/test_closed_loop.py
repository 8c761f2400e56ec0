"""The controller on planted plants, and the loop on a stream."""

import numpy as np
import pytest

import tonearm.knobs.closed_loop as closed_loop
import tonearm.knobs.goals as goals
from tests.knobs.planted import knob_of
from tests.steering.vectors import scales_of
from tonearm import Steer, TonearmError, replay
from tonearm.knobs.actuators import LevelActuator
from tonearm.knobs.closed_loop import follow
from tonearm.knobs.controller import Controller, LoopSettings
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
    amounts = [amount for _, amount in followed.values]
    assert amounts[0] == pytest.approx(0.5) and amounts == sorted(amounts)
    assert amounts[-1] > 0.7 and np.diff(amounts).max() <= 0.1 + 1e-9
    assert [effect for _, effect in followed.measured] == pytest.approx(
        [0] * len(followed.measured)
    )
    assert followed.outcome.measured == pytest.approx(0) and not followed.outcome.is_met
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


def test_the_inner_loop_sets_levels_that_replay(melody, monkeypatch, tmp_path):
    """The outer loop asks for more and more, and the level rises at its limited rate."""
    vector = knob_of(melody, limit=4.0).with_frame_scales(scales_of(melody.shape.layer_count))
    monkeypatch.setattr(goals, "reader_of", lambda measure, tracker: lambda clip: 1000.0)
    settings = LoopSettings(period=0.1, window=0.2, rate=1.0)
    table = [(-2.0, -4.0), (0.0, 0.0), (2.0, 4.0)]
    followed = follow(
        melody,
        "a folk tune",
        {vector: "+2st"},
        settings=settings,
        levels=table,
        seconds=1.0,
        seed=3,
    )
    levels = [level for _, level in followed.values]
    assert levels[0] == pytest.approx(1.0) and levels == sorted(levels)
    assert levels[-1] > 1.5 and np.diff(levels).max() <= 0.2 + 1e-9
    (steer,) = followed.take.provenance.steering.steers
    assert steer.operator == "set" and steer.level_schedule is not None
    assert replay(followed.take.save(tmp_path / "held.wav"), model=melody).identical


def test_a_level_is_read_between_the_points_of_its_table():
    falling = LevelActuator([(-1.0, 3.0), (0.0, 1.0), (2.0, -1.0)])
    assert falling.value_for(2.0) == pytest.approx(-0.5)
    assert falling.value_for(0.0) == pytest.approx(1.0)
    assert falling.value_for(9.0) == -1.0 and falling.value_for(-9.0) == 2.0
    assert falling.span == 2.0


@pytest.mark.parametrize(
    "levels",
    [[], [(0.0, 0.0)], [(0.0, 0.0), (1.0, 2.0), (2.0, 1.0)], [(1.0, 0.0), (0.0, 1.0)]],
)
def test_a_table_of_levels_that_is_none_is_refused(levels):
    with pytest.raises(TonearmError, match="give two or more"):
        LevelActuator(levels)


def test_a_tempo_follows_the_onset_rate(melody, monkeypatch):
    """A few seconds have no certain tempo: the loop counts onsets, and the outcome is the tempo's."""
    vector = knob_of(melody, limit=40.0, measure="bundled_tempo", unit="%", plain=100.0)
    measures = {"bundled_tempo": 110.0, "onset_rate": 3.0}
    readings = []

    def reader_of(measure, tracker):
        def read(clip):
            readings.append((measure, round(clip.seconds, 1)))
            return measures[measure]

        return read

    monkeypatch.setattr(goals, "reader_of", reader_of)
    monkeypatch.setattr(closed_loop, "reader_of", reader_of)
    settings = LoopSettings(period=0.2, window=0.2)
    followed = follow(melody, "a folk tune", {vector: "+20%"}, settings=settings, seconds=1.0)
    assert {measure for measure, seconds in readings if seconds < 0.5} == {"onset_rate"}
    assert followed.outcome.measure == "bundled_tempo" and followed.outcome.value == 110.0


def test_plain_takes_without_the_measure_are_refused(melody, monkeypatch):
    monkeypatch.setattr(goals, "reader_of", lambda measure, tracker: lambda clip: None)
    with pytest.raises(TonearmError, match="has no spectral_centroid"):
        follow(melody, "a folk tune", {knob_of(melody): "+1st"}, seconds=0.4)


def test_a_target_with_a_schedule_is_refused(melody):
    """The loop sets the amount over time, and would not follow it."""
    steer = Steer(vector="brightness", target=1.0, unit="st", schedule={"points": [[0, 0], [1, 1]]})
    model = Model(melody.checkpoint)
    model.vectors["brightness"] = knob_of(melody)
    with pytest.raises(TonearmError, match="brightness: a measured target cannot have a schedule"):
        follow(model, "a folk tune", steer)


def test_a_target_with_a_monitor_is_refused(melody):
    """The loop would act without it."""
    steer = Steer(vector="brightness", target=1.0, unit="st", monitor=True)
    model = Model(melody.checkpoint)
    model.vectors["brightness"] = knob_of(melody)
    with pytest.raises(TonearmError, match="in a closed loop has no monitor"):
        follow(model, "a folk tune", steer)
