"""tonearm calibrate: the injections that it tries, and mistakes."""

import json
from dataclasses import replace

import pytest

import tonearm.studies.calibration as calibration
from tonearm.steering import Configuration, load_vector, save_vector
from tonearm.studies.strength_grids import FACTORS, component

ARGUMENTS = ("calibrate", "energy.safetensors", "--measure", "onset_rate", "--force")


def planted_takes(model, name, settings, prompts, *others, **options):
    """Records whose onset rate follows the strength, and whose music stays whole."""

    def record(strength, prompt):
        return {
            "onset_rate": {"value": (3 + 0.01 * prompt) * (1 + 0.1 * strength)},
            "pulse_clarity": {"value": 0.7},
            "clap_score": {"value": 0.3},
            "faulty": False,
        }

    return {
        setting.name: [
            record(sum(steer.raw_strength for steer in setting.steering.steers), prompt)
            for prompt in range(len(prompts.texts))
        ]
        for setting in settings
    }


@pytest.fixture
def calibrate(run, tiny, monkeypatch):
    monkeypatch.setattr(calibration, "run_settings", planted_takes)
    return lambda *more: run(*ARGUMENTS, *tiny(), *more)


def test_blend_is_calibrated_around_the_component_and_then_has_amounts(
    calibrate, play, energy, folder, loaded_model
):
    outcome = calibrate("--operator", "blend", "--strategy", "one-to-one")
    assert outcome.code == 0, outcome.err
    own = Configuration(
        operator="blend", strategy="one-to-one", source_layer=energy.info.best_layer
    )
    size = component(energy, own, loaded_model("melody").shape)
    found = load_vector(folder / "energy.safetensors").info.calibration
    for signed in (found.positive, found.negative):
        assert signed.configuration == own
        assert signed.strength == pytest.approx(max(FACTORS) * size, rel=0.01)
    assert f"times {size:.3g}, the component" in " ".join(outcome.out.split())
    assert all(len(line) <= 80 for line in outcome.out.splitlines())
    taken = play("--steer", "energy.safetensors=-0.5", "-o", "a.wav")
    assert taken.code == 0, taken.err
    (steer,) = json.loads((folder / "a.json").read_text())["steering"]["steers"]
    assert steer["operator"] == "blend"
    assert steer["strength"] == pytest.approx(-found.negative.strength / 2)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), {("add", "one-to-all")}),
        (("--operator", "blend"), {("blend", "one-to-one"), ("blend", "all-to-all")}),
        (
            (*("--operator", "rotate", "--strategy", "all-to-all"), *("--strategy", "one-to-all")),
            {("rotate", "all-to-all"), ("rotate", "one-to-all")},
        ),
    ],
)
def test_the_injections_that_are_tried(calibrate, monkeypatch, options, expected):
    tried = set()

    def watched(model, name, settings, *others, **more):
        steers = [steer for setting in settings for steer in setting.steering.steers]
        tried.update((steer.operator, steer.strategy) for steer in steers)
        return planted_takes(model, name, settings, *others, **more)

    monkeypatch.setattr(calibration, "run_settings", watched)
    outcome = calibrate(*options)
    assert outcome.code == 0, outcome.err
    assert tried == expected


def test_a_vector_without_a_best_layer_is_tried_all_to_all(calibrate, monkeypatch, folder):
    energy = load_vector(folder / "energy.safetensors")
    info = energy.info.model_copy(update={"best_layer": None})
    save_vector(replace(energy, info=info), folder / "energy.safetensors")
    outcome = calibrate()
    assert outcome.code == 0, outcome.err
    found = load_vector(folder / "energy.safetensors").info.calibration
    assert found.positive.configuration == Configuration(strategy="all-to-all")
    outcome = calibrate("--strategy", "one-to-all")
    assert outcome.code == 2 and "names no best layer" in outcome.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--operator", "blur"),
            "'remove', 'set', 'clamp' or 'feature' (given: 'blur')",
        ),
        (("--operator", "clamp"), "operator clamp cannot be calibrated; use one of add, blend"),
        (("--strategy", "own"), "'all-to-all' or 'one-to-one' (given: 'own')"),
    ],
)
def test_an_injection_that_cannot_be_tried_is_one_line(calibrate, options, message):
    outcome = calibrate(*options)
    assert outcome.code == 2 and message in outcome.err and outcome.err.count("\n") == 1


SCALES = ("calibrate", "energy.safetensors", "--scales", "--prompts", "fast.txt", "--seconds", 0.6)


@pytest.fixture
def four_prompts(folder):
    with (folder / "fast.txt").open("a") as file:
        file.write("a loud tune\na soft tune\n")


def test_a_vector_whose_scales_were_measured_is_set_to_levels(
    run, tiny, play, four_prompts, folder
):
    refused = play("--steer", "energy=2@set")
    assert (
        refused.code == 2 and "measure them with `tonearm calibrate energy --scales`" in refused.err
    )
    outcome = run(*SCALES, "--force", *tiny())
    assert outcome.code == 0, outcome.err
    scales = load_vector(folder / "energy.safetensors").info.frame_scales
    assert "4 takes of 0.6 s" in scales.protocol
    for text in (outcome.out, run("inspect", "energy.safetensors").out):
        for layer in (0, 2):
            assert f"{scales.deviations[layer]:.3f}"[:5] in text
        assert "4 takes of 0.6 s" in " ".join(text.split())
    taken = play("--steer", "energy=2@set", "-o", "a.wav")
    assert taken.code == 0, taken.err
    assert "energy level +2 (more): set, share 1, each layer's own" in " ".join(taken.out.split())
    (steer,) = json.loads((folder / "a.json").read_text())["steering"]["steers"]
    assert (steer["operator"], steer["level"], steer["strength"]) == ("set", 2, 1)
    assert "energy level +2" in run("inspect", "a.json").out


def test_scales_and_amounts_are_measured_by_one_command(
    calibrate, four_prompts, run, tiny, folder, monkeypatch
):
    outcome = calibrate("--scales", "--prompts", "fast.txt", "--seconds", 0.6, "--json")
    assert outcome.code == 0, outcome.err
    written, info = json.loads(outcome.out), load_vector(folder / "energy.safetensors").info
    assert written["frame_scales"] == info.frame_scales.model_dump(mode="json")
    assert written["calibration"] == info.calibration.model_dump(mode="json")
    again = json.loads(run(*SCALES, "-o", "b", "--json", *tiny()).out)
    assert again["frame_scales"] == written["frame_scales"] and "calibration" not in again
    assert load_vector(folder / "b.safetensors").info.calibration == info.calibration


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--scales", "--operator", "blend"), "--operator belongs to amounts; give --measure"),
        (("--scales", "--store", "kept"), "--store belongs to amounts; give --measure"),
        (("--scales", "--takes", 2), "--takes belongs to amounts; give --measure"),
        (("--scales", "--seconds", 0), "takes of 0 s are not possible; use"),
    ],
)
def test_options_of_amounts_beside_scales_alone_are_one_line(run, tiny, options, message):
    outcome = run("calibrate", "energy.safetensors", "--force", *options, *tiny())
    assert outcome.code == 2 and message in outcome.err and outcome.err.count("\n") == 1


def test_a_vector_without_a_known_measure_is_one_line(run, tiny, folder, energy):
    save_vector(energy.renamed("mood"), folder / "mood.safetensors")
    outcome = run("calibrate", "mood.safetensors", "--force", *tiny())
    assert outcome.code == 2 and outcome.err.count("\n") == 1
    assert "no measure is known for vector 'mood'; give --measure" in outcome.err


def test_the_measure_of_an_attribute_is_known_by_its_name(run, tiny, folder, energy, monkeypatch):
    monkeypatch.setattr(calibration, "run_settings", planted_takes)
    save_vector(energy.renamed("density"), folder / "density.safetensors")
    outcome = run("calibrate", "density.safetensors", "--force", *tiny())
    assert outcome.code == 0, outcome.err
    found = load_vector(folder / "density.safetensors").info.calibration
    assert found.positive.evidence.measure == found.positive.response.measure == "onset_rate"
    again = run("calibrate", "density.safetensors", "--tables", "--force", *tiny())
    assert again.code == 0, again.err
    tabulated = load_vector(folder / "density.safetensors").info.calibration
    assert tabulated.amounts_json() == found.amounts_json()
