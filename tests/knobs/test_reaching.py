"""Targets are met by words, steering, choice and trims, and each means that acted is stated."""

from dataclasses import replace

import numpy as np
import pytest

import tonearm.knobs.goals as goals
from tests.knobs.planted import RATE, PlantedModel, knob_of
from tests.steering.vectors import vector_of
from tonearm import Clip, Steer, Steering, TonearmError, reach, replay
from tonearm.knobs.outcome import Outcome
from tonearm.knobs.trimming import gain_for, treble_for
from tonearm.processing import Trims
from tonearm.steering.combination import with_combined_strengths


@pytest.fixture
def vector(melody):
    return knob_of(melody)


def bright(model, vector, target, tries=1, **settings):
    settings = {"trims": False} | settings
    return reach(model, "a folk tune", {vector: target}, tries=tries, seed=5, **settings)


def test_a_target_becomes_the_amount_of_the_table_and_is_measured_against_the_twin(melody, vector):
    """Takes that follow the table: 4 semitones at amount 1."""
    model = PlantedModel(melody, lambda seed, amount, _: (800 + seed) * 2 ** (4 * amount / 12))
    found = bright(model, vector, "+3st")
    (outcome,) = found.outcomes
    assert outcome.measured == pytest.approx(3, abs=0.05) and outcome.is_met and found.is_met
    assert outcome.plain == pytest.approx(805, rel=0.01)
    assert [seen[:2] for seen in model.requests] == [(5, 0.75), (5, 0)]
    assert found.acted == ("vector brightness: amount +0.75",)
    assert "asked +3.0 st, measured +3.0 st, met" in str(outcome)


def test_the_second_half_of_the_tries_learns_from_the_first(melody, vector):
    """A prompt with half of the table's effect: the second half asks for twice the amount."""
    model = PlantedModel(melody, lambda seed, amount, _: 800 * 2 ** (2 * amount / 12))
    found = bright(model, vector, "+1.5st", tries=4)
    amounts = [amount for _, amount, _ in model.requests]
    assert amounts == pytest.approx([0.375, 0.375, 0, 0, 0.75, 0.75, 0, 0], abs=0.02)
    assert found.outcomes[0].measured == pytest.approx(1.5, abs=0.05)
    assert "choice: try 3 of 4, seed 7" in found.acted


def test_the_nearest_try_is_taken_and_seeds_follow_each_other(melody, vector):
    offsets = {5: -3.0, 6: 0.3, 7: 4.0, 8: 2.0}  # of semitones

    def hertz(seed, amount, _):
        return 800 * 2 ** ((2 + offsets[seed]) * (amount != 0) / 12)

    model = PlantedModel(melody, hertz)
    found = bright(model, vector, "+2st", tries=4)
    assert found.take.provenance.seed == 6
    assert len(found.tries) == 4


def test_a_change_is_counted_from_the_mean_of_the_plain_twins(melody, vector):
    """Twins an octave apart: their mean lies between, and no try is judged by its own twin alone."""
    plain = {5: 500.0, 6: 1000.0, 7: 500.0, 8: 1000.0}

    def hertz(seed, amount, _):
        return plain[seed] if not amount else 500 * 2 ** ((6 + 2) / 12)

    found = bright(PlantedModel(melody, hertz), vector, "+2st", tries=4)
    (outcome,) = found.outcomes
    assert outcome.plain == pytest.approx(500 * 2**0.5, rel=0.01)
    assert outcome.measured == pytest.approx(2, abs=0.05)


def test_a_centroid_is_trimmed_the_rest_of_the_way(melody, vector):
    """Two tones, so that a shelving filter moves the centroid; the table's effect is absent."""

    class TwoTones(PlantedModel):
        def generate_batch(self, requests, **options):
            for take in super().generate_batch(requests, **options):
                time = np.arange(take.clip.samples.shape[1]) / take.clip.sample_rate
                tones = sum(0.3 * np.sin(2 * np.pi * hertz * time) for hertz in (300.0, 4000.0))
                yield replace(take, clip=Clip(tones[None], take.clip.sample_rate))

    model = TwoTones(melody, lambda *_: 300.0)
    assert not bright(model, vector, "+2st").is_met
    found = bright(model, vector, "+2st", trims=True)
    assert found.outcomes[0].measured == pytest.approx(2, abs=0.1) and found.is_met
    trims = found.take.provenance.trims
    assert 0 < trims.treble < 6 and trims.stretch is None and trims.gain is None
    assert found.acted[-1].startswith("shelving filter: +")
    far = bright(model, knob_of(melody, limit=9.0), "+9st", trims=True)
    assert far.take.provenance.trims.treble == 6.0
    assert 2 < far.outcomes[0].measured < 9 and not far.is_met


def test_what_is_missed_is_said(melody, vector):
    model = PlantedModel(melody, lambda *_: 800.0)
    found = bright(model, vector, "+4st", tries=2)
    assert not found.is_met and found.outcomes[0].measured == pytest.approx(0, abs=0.01)
    assert "asked +4.0 st, measured +0.0 st, missed" in str(found.outcomes[0])


def test_an_absolute_target_needs_no_twin(melody, vector):
    model = PlantedModel(melody, lambda seed, amount, _: 1000 * 2 ** (4 * amount / 12))
    found = bright(model, vector, "1100hz")
    assert len(model.requests) == 1
    assert found.outcomes[0].measured == pytest.approx(1100, rel=0.01)
    assert found.outcomes[0].plain is None


@pytest.fixture
def heard(monkeypatch):
    """Tempos are read from the frequency of the planted tone, one tenth of it."""

    def reader(measure, tracker):
        assert measure in ("tempo", "bundled_tempo")

        def read(clip):
            spectrum = np.abs(np.fft.rfft(clip.mono * np.hanning(len(clip.mono))))
            hertz = np.argmax(spectrum) * clip.sample_rate / len(clip.mono)
            stretch = 2 * clip.sample_rate / len(clip.mono)
            return hertz / 10 * stretch

        return read

    monkeypatch.setattr(goals, "reader_of", reader)


def test_a_tempo_is_written_into_the_prompt_and_trimmed_by_a_stretch(melody, heard):
    model = PlantedModel(melody, lambda seed, amount, prompt: 1200 if "125 bpm" in prompt else 900)
    found = reach(model, "a slow folk tune", "tempo=125bpm", seed=1)
    assert found.outcomes[0].measured == pytest.approx(125, rel=0.005)
    words, stretch = found.acted
    assert words == 'words: "125 bpm, a folk tune, at 125 bpm", without "slow"'
    assert stretch == "time stretch: 1.042 times as fast"
    record = found.take.provenance
    assert record.trims.stretch == pytest.approx(1.0417, abs=1e-3)
    assert record.requested_prompt == "a slow folk tune" and record.prompt != "a slow folk tune"
    assert str(record.requested) == "tempo 125 bpm"


def test_a_change_of_tempo_is_trimmed_by_a_stretch_too(melody, heard):
    """Takes are at 100 BPM; the vector has 0.6 of its effect."""
    vector = knob_of(melody, limit=40.0, measure="bundled_tempo", unit="%", plain=100.0)
    model = PlantedModel(melody, lambda seed, amount, _: 1000 * (1 + 0.24 * amount))
    model.vectors["pulse"] = vector
    found = reach(model, "a folk tune", "pulse=+10%", seed=1)
    assert found.outcomes[0].measured == pytest.approx(10, abs=0.5)
    assert found.take.provenance.trims.stretch == pytest.approx(1.1 / 1.06, abs=2e-3)
    left = reach(model, "a folk tune", "pulse=+10%", trims=False, seed=1)
    assert left.outcomes[0].measured == pytest.approx(6, abs=0.5)


def test_a_tempo_too_far_for_a_stretch_is_left_and_reported(melody, heard):
    model = PlantedModel(melody, lambda *_: 900)
    found = reach(model, "a folk tune", "tempo=125bpm", tries=2, seed=1)
    assert not found.is_met and found.take.provenance.trims is None
    assert found.outcomes[0].measured == pytest.approx(90, rel=0.01)


def test_a_tempo_that_no_stretch_repairs_is_steered(melody, heard):
    """112 BPM are within the reach of a stretch, and outside the tolerance of 120."""
    model = PlantedModel(melody, lambda seed, amount, _: 1120 if not amount else 1200)
    knob = knob_of(melody, limit=40.0, measure="bundled_tempo", unit="%", plain=100.0)
    model.vectors["tempo"] = knob
    steered = reach(model, "a folk tune", "tempo=120bpm", trims=False, tries=2, seed=1)
    assert [bool(amount) for _, amount, _ in model.requests] == [False, True]
    assert steered.outcomes[0].measured == pytest.approx(120, rel=0.005)
    model.requests.clear()
    stretched = reach(model, "a folk tune", "tempo=120bpm", tries=2, seed=1)
    assert not any(amount for _, amount, _ in model.requests)
    assert stretched.take.provenance.trims.stretch == pytest.approx(120 / 112, abs=1e-3)


def test_words_and_stretch_can_be_left_out(melody, heard):
    model = PlantedModel(melody, lambda *_: 1200)
    found = reach(model, "a slow tune", "tempo=125bpm", words=False, trims=False, seed=1)
    assert found.acted == () and found.take.provenance.requested_prompt is None
    assert model.requests[0][2] == "a slow tune"


def test_a_stretched_take_replays_bit_for_bit(melody, monkeypatch, tmp_path):
    values = iter([120.0, 120.0, 125.0])  # of the try, of its audio before trimming, and trimmed
    monkeypatch.setattr(goals, "reader_of", lambda measure, tracker: lambda clip: next(values))
    found = reach(melody, "a folk tune", "tempo=125bpm", seconds=1.0, seed=2)
    trims = found.take.provenance.trims
    assert trims == Trims(stretch=round(125 / 120, 4))
    again = replay(found.take.save(tmp_path / "take.wav"), model=melody)
    assert again.identical
    assert again.take.provenance.trims == trims


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ("brightness=+1", "no target was given"),
        ("tempo=20bpm", "20 bpm is not possible; give 30 to 300"),
        (["tempo=120bpm", "tempo=90bpm"], "two targets of tempo are asked for"),
        (["tempo=120bpm", "pulse=90bpm"], "two tempos are asked for"),
        ("nothing=+3st", "no vector 'nothing'"),
        ("flow=120bpm", "ask for a tempo as tempo=120bpm"),
    ],
)
def test_wrong_targets_are_refused_before_anything_is_generated(melody, targets, message):
    with pytest.raises(TonearmError, match=message):
        reach(melody, "a folk tune", targets)


@pytest.mark.parametrize("tries", [0, -1, 65])
def test_impossible_tries_are_refused(melody, tries):
    with pytest.raises(TonearmError, match="tries are not possible"):
        reach(melody, "a folk tune", "tempo=120bpm", tries=tries)


def test_an_octave_error_is_a_miss():
    for measured in (64.0, 256.0, None, 0.0):
        assert not Outcome("tempo", 128, "bpm", measured, None, measured, "tempo").is_met
    assert Outcome("tempo", 128, "bpm", 128 * 1.049, None, 134.0, "tempo").is_met
    assert not Outcome("tempo", 128, "bpm", 128 * 1.051, None, 134.0, "tempo").is_met


def test_other_steers_and_the_rule_of_combination_stay(melody, vector):
    """A strength acts in the takes and in their twins alike, and the rule is that of the steering."""
    other = vector_of(melody, "push", seed=3)
    melody.vectors["push"] = other
    melody.vectors["brightness"] = vector
    steers = (
        Steer(vector="push", strength=0.5),
        Steer(vector="brightness", target=2.0, unit="st"),
    )
    model = PlantedModel(melody, lambda *_: 900.0)
    seen = []
    given = model.generate_batch
    model.generate_batch = lambda requests, **options: (
        seen.extend(one.steering for one in requests) or given(requests, **options)
    )
    reach(model, "a folk tune", Steering(steers=steers, combine="mean"), seed=1, trims=False)
    steered, plain = seen
    assert [steer.vector for steer in steered.steers] == ["push", "brightness"]
    assert [steer.vector for steer in plain.steers] == ["push"]
    assert steered.combine == "mean"
    strengths = [
        with_combined_strengths(one, model.vectors).steers[0].raw_strength
        for one in (steered, plain)
    ]
    assert strengths == [0.25, 0.25]


def test_a_monitor_of_a_target_acts(melody, vector):
    model, seen = PlantedModel(melody, lambda *_: 900.0), []
    given = model.generate_batch
    model.generate_batch = lambda requests, **options: (
        seen.extend(one.steering for one in requests) or given(requests, **options)
    )
    model.vectors["brightness"] = vector
    steer = Steer(vector="brightness", target=2.0, unit="st", monitor=True)
    reach(model, "a folk tune", steer, seed=1, trims=False)
    (steered,) = seen[0].steers
    assert steered.monitor == steer.monitor is not None and steered.amount == 0.5
    with pytest.raises(TonearmError, match="a tempo in bpm has no monitor"):
        reach(model, "a folk tune", Steer(vector="tempo", target=90, unit="bpm", monitor=True))


def test_a_target_with_a_schedule_is_refused(melody, vector):
    """The whole take is measured, and the trims act on all of it."""
    melody.vectors["brightness"] = vector
    schedule = {"points": [[0, 0], [1, 1]]}
    steer = Steer(vector="brightness", target=2.0, unit="st", schedule=schedule)
    with pytest.raises(TonearmError, match="brightness: a measured target cannot have a schedule"):
        reach(melody, "a folk tune", steer)


def test_of_a_continuation_the_new_music_is_measured_and_nothing_is_trimmed(melody, vector):
    time = np.arange(2 * RATE) / RATE
    given = Clip(0.3 * np.sin(2 * np.pi * 3000 * time)[None], RATE)

    class Continuing(PlantedModel):
        def generate_batch(self, requests, **options):
            for take in super().generate_batch(requests, **options):
                samples = np.concatenate([given.samples, take.clip.samples], axis=1)
                provenance = take.provenance.model_copy(update={"new_seconds": 2.0})
                yield replace(
                    take,
                    clip=Clip(samples, RATE),
                    provenance=provenance,
                    inputs={"audio_prompt": given},
                )

    model = Continuing(melody, lambda seed, amount, _: 800 * 2 ** (2 * amount / 12))
    found = bright(model, vector, "+3st", trims=True, continue_from=given)
    assert found.outcomes[0].measured == pytest.approx(1.5, abs=0.05)  # half of the table's effect
    assert found.take.provenance.trims is None
    assert np.array_equal(found.take.clip.samples[:, : 2 * RATE], given.samples)


def test_a_gain_never_clips():
    time = np.arange(RATE) / RATE
    for peak in (0.70746, 0.5, 0.9999, 1.0):
        clip = Clip(np.clip(2 * np.sin(2 * np.pi * 100 * time), -1, 1)[None] * peak, RATE)
        gain = gain_for(clip, -20.0, -14.0)
        assert gain is None or abs(Trims(gain=gain).apply(clip).samples).max() <= 1


def test_two_targets_of_one_knob_are_refused(melody, vector):
    """One amount cannot meet both; the last one would be asked, and both be counted."""
    steers = [Steer(vector="brightness", target=change, unit="st") for change in (1.0, 2.0)]
    with pytest.raises(TonearmError, match="two targets of brightness are asked for; give one"):
        goals.Goals.of(Steering(steers=tuple(steers)), {"brightness": vector}, tracker=None)


@pytest.mark.parametrize("seed", ["7", 7.0, True])
def test_a_seed_that_is_none_is_refused(melody, vector, seed):
    model = PlantedModel(melody, lambda *_: 800.0)
    with pytest.raises(TonearmError, match="seed"):
        reach(model, "a folk tune", {vector: "+1st"}, seed=seed)


def test_the_size_of_batches_is_that_of_every_round(melody, vector):
    model = PlantedModel(melody, lambda *_: 800.0)
    bright(model, vector, "+1st", tries=2, batch_size=3)
    assert set(model.batch_sizes) == {3}
    bright(model, vector, "+1st")
    assert model.batch_sizes[-1] is None


def test_a_centroid_that_is_met_exactly_is_not_filtered(melody, vector):
    clip = Clip(0.3 * np.sin(np.arange(16_000) / 4)[None], 16_000)
    steering = Steering(steers=(Steer(vector="brightness", target=1.0, unit="st"),))
    (goal,) = goals.Goals.of(steering, {"brightness": vector}, tracker=None).knobs
    assert treble_for(goal, clip, goal.reader(clip)) is None
