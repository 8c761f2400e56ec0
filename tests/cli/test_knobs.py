"""tonearm knobs, --set and --tables on the tiny checkpoint, with a planted knob."""

import json
from dataclasses import replace

import pytest

import tonearm.activations.frame_scales as frame_scales
from tests.knobs.planted import knob_of
from tonearm import load_vector, save_vector
from tonearm.generation.provenance import read_sidecar
from tonearm.processing import Trims
from tonearm.steering import Calibration, SignCalibration, SteeringVector


@pytest.fixture
def bright(folder, loaded_model):
    """A file with a knob of ±4 st."""
    vector = knob_of(loaded_model("melody"))
    save_vector(vector, folder / "bright.safetensors")
    return vector


def test_knobs_states_range_cost_and_failure(run, folder, bright):
    failed = Calibration(
        positive=bright.info.calibration.positive, negative=SignCalibration(failure="no effect")
    )
    info = bright.info.model_copy(update={"calibration": failed, "name": "half"})
    save_vector(SteeringVector(bright.directions, info), folder / "half.safetensors")
    outcome = run("knobs", "bright.safetensors", "half.safetensors")
    assert outcome.code == 0
    assert "to +4.0 st" in outcome.out and "to -4.0 st" in outcome.out
    assert "fails: no effect" in outcome.out and "tempo=128bpm" in outcome.out
    assert max(map(len, outcome.out.splitlines())) <= 80


def test_knobs_gives_everything_as_json(run, bright):
    content = json.loads(run("knobs", "bright.safetensors", "--json").out)
    plus, minus = content["knobs"]
    assert plus["passes"] and minus["passes"] and (plus["sign"], minus["sign"]) == (1, -1)
    assert plus["calibration"]["response"]["points"][-1]["effect"] == 4.0


def test_the_knobs_that_ship_are_listed_without_a_file(run):
    outcome = run("knobs")
    assert outcome.code == 0 and "brightness +" in outcome.out


def test_a_target_is_met_measured_and_recorded(play, folder, bright):
    outcome = play("--set", "bright.safetensors=+2st", "--tries", 2, "-o", "met.wav", "--force")
    assert outcome.code == 0, outcome.err
    assert "asked +2.0 st, measured" in outcome.out
    assert "bright.safetensors +2 st; the nearest of 2 tries" in outcome.out
    assert "vector bright.safetensors: amount +0.50" in outcome.out
    content = json.loads((folder / "met.json").read_text())
    (target,) = content["measured"]["targets"]
    assert target["asked"] == 2 and target["unit"] == "st" and target["plain"] is not None
    assert content["measured"]["acted"]
    assert str(read_sidecar(folder / "met.json").requested) == "bright.safetensors +2 st"


def test_an_open_loop_target_is_a_steer(play, folder, bright):
    outcome = play("--steer", "bright.safetensors=+2st", "-o", "open.wav", "--force")
    assert outcome.code == 0, outcome.err
    (steer,) = read_sidecar(folder / "open.json").steering.steers
    assert steer.strength == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--set", "bright.safetensors=+2"), "has no unit; write a number with one of"),
        (("--set", "bright.safetensors=+9st"), "+9.0 st is outside its range, -4.0 st to +4.0 st"),
        (("--set", "bright.safetensors=+2lu"), "is not of its measure; give st or hz"),
        (("--set", "tempo=900bpm"), "900 bpm is not possible; give 30 to 300"),
        (("--set", "bright.safetensors=+2st", "--tries", 0), "0 tries are not possible"),
        (("--set", "energy=+2st"), "has no table of responses"),
        (("--steer", "bright.safetensors=+9st"), "outside its range"),
        (("--tries", 2), "--tries belongs to --set"),
        (("--no-trim",), "--no-trim belongs to --set"),
        (("--steer", "bright.safetensors=nanst"), "is not a number"),
    ],
)
def test_wrong_targets_are_one_line(play, folder, bright, options, message):
    outcome = play(*options, "-o", "wrong.wav")
    assert outcome.code == 2 and message in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1
    assert not (folder / "wrong.wav").exists()


def test_tables_of_a_vector_that_is_not_calibrated_are_refused(run, folder, tiny, bright):
    info = bright.info.model_copy(update={"calibration": None})
    save_vector(SteeringVector(bright.directions, info), folder / "plain.safetensors")
    options = ("--tables", "--measure", "loudness", "--workers", 0, "--force", *tiny())
    outcome = run("calibrate", "plain.safetensors", *options)
    assert outcome.code == 2 and "is not calibrated" in outcome.err
    assert load_vector(folder / "plain.safetensors").info.calibration is None


def test_the_injection_of_tables_is_that_of_the_calibration(run, folder, tiny, bright):
    options = ("--tables", "--operator", "rotate", "--workers", 0, "--force", *tiny())
    outcome = run("calibrate", "bright.safetensors", *options)
    assert outcome.code == 2 and "--tables keeps the calibrated injection" in outcome.err


def test_an_unknown_measure_is_refused_before_the_scales_are_measured(
    run, tiny, bright, monkeypatch
):
    monkeypatch.setattr(frame_scales, "measure_frame_scales", lambda *_, **__: pytest.fail("ran"))
    options = ("--scales", "--measure", "shine", "--workers", 0, "--force", *tiny())
    outcome = run("calibrate", "bright.safetensors", *options)
    assert outcome.code == 2 and "no measure 'shine'" in outcome.err


def test_the_trims_and_the_prompt_of_the_user_are_shown(run, folder, loaded_model):
    model = loaded_model("melody")
    take = model.generate("a folk tune", seconds=0.5, seed=1).trimmed(Trims(gain=-1.5))
    update = {"requested_prompt": "a slow folk tune"}
    take = replace(take, provenance=take.provenance.model_copy(update=update))
    take.save(folder / "trimmed.wav")
    shown = run("inspect", "trimmed.json").out
    assert "gain: -1.5 dB" in shown and "a slow folk tune" in shown
