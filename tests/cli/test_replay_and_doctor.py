import importlib.metadata
import json

import pytest

from tonearm.audio import Clip
from tonearm.musicgen.variants import VARIANTS


@pytest.fixture
def sidecar(play, folder):
    play("--steer", "energy=raw:+2", "--continue-from", "tone.wav", "-n", 2, "-o", "a.wav")
    return folder / "a-2.json"


def test_replay_is_identical_and_saves(run, tiny, sidecar):
    outcome = run("replay", sidecar, "-o", "again.wav", *tiny())
    assert (outcome.code, outcome.out.splitlines()[0]) == (0, "identical, bit for bit")
    assert (Clip.read("again.wav").samples == Clip.read("a-2.wav").samples).all()
    assert run("replay", sidecar, "-o", "again.wav", *tiny()).code == 2


def test_replay_of_an_altered_sidecar_reports_it(run, tiny, sidecar):
    content = json.loads(sidecar.read_text())
    content["seed"] += 1
    content["stack"]["packages"]["torch"] = "0.1"
    sidecar.write_text(json.dumps(content))
    outcome = run("replay", sidecar, *tiny())
    assert outcome.code == 1
    assert outcome.out.startswith("not identical\n") and "torch: 0.1 then" in outcome.out
    told = run("replay", sidecar, "--json", *tiny())
    assert told.code == 1
    assert json.loads(told.out) == {
        "identical": False,
        "differences": [outcome.out.splitlines()[1].strip()],
    }


def test_replay_with_other_weights_or_a_changed_input_is_refused(run, tiny, sidecar, folder):
    other = run("replay", sidecar, *tiny("small"))
    assert other.code == 2 and "--model" in other.err
    (folder / "tone.wav").write_bytes((folder / "a-1.wav").read_bytes())
    changed = run("replay", sidecar, *tiny())
    assert changed.code == 2 and "tone.wav has changed since" in changed.err


def test_models_lists_every_variant_whole_with_its_licence(run):
    shown = run("models").out
    for variant in VARIANTS.values():
        assert variant.name in shown and variant.licence in shown
    assert "not for commercial use" in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert [model["name"] for model in json.loads(run("models", "--json").out)["models"]] == list(
        VARIANTS
    )


def test_doctor_finds_all_well(run, tiny):
    outcome = run("doctor", *tiny())
    assert outcome.code == 0, outcome.out
    assert outcome.out.endswith("all is well\n") and "follows the prompt" in " ".join(
        outcome.out.split()
    )
    assert max(map(len, outcome.out.splitlines())) <= 80


def test_doctor_shows_what_to_do_about_a_problem(run, monkeypatch):
    monkeypatch.setattr(
        importlib.metadata,
        "requires",
        lambda _: [
            "torch>=999",
            "numpy>=999; python_version >= '3.11'",
            "numpy>=1; python_version < '3.11'",
            "nosuchpackage>=1",
            "pytest; extra == 'dev'",
        ],
    )
    outcome = run("doctor", "--model", "nowhere", "--json")
    content = json.loads(outcome.out)
    assert outcome.code == 1 and content["ok"] is False
    advice = {check["name"]: check["advice"] for check in content["checks"] if check["advice"]}
    for name, lowest in {"torch": 999, "numpy": 999, "nosuchpackage": 1}.items():
        assert advice.pop(name) == f'pip install "{name}>={lowest}"'
    assert set(advice) == {"nowhere"}
    assert [check["name"] for check in content["checks"]].count("numpy") == 1
