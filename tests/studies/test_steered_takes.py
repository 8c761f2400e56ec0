"""Takes under several steerings: trials in the order of the prompts, continued after a stop."""

import numpy as np
import pytest

from tests.steering.vectors import vector_of
from tonearm import Steer, Steering
from tonearm.studies.measure_groups import LOADERS, Group, group
from tonearm.studies.steered_takes import Prompts, Setting, run_settings

PROMPTS = Prompts(("a folk tune", "a jazz tune"), first_seed=3, seconds=0.6, groups=("peak",))


@pytest.fixture(autouse=True)
def peak(monkeypatch):
    """A group of one cheap measure."""

    def measure(requests):
        return [{"peak": float(np.abs(request.clip.samples).max())} for request in requests]

    monkeypatch.setitem(LOADERS, "peak", lambda: Group("peak", "peak 1", False, measure))
    group.cache_clear()
    yield
    group.cache_clear()


@pytest.fixture
def settings(melody):
    melody.vectors["push"] = vector_of(melody, "push")
    steer = Steer(vector="push", strength=2.0, source_layer=1)
    return [Setting("plain", Steering()), Setting("push", Steering(steers=(steer,)))]


def run(model, settings, folder):
    return run_settings(model, "test", settings, PROMPTS, dict(model.vectors), folder)


def test_trials_have_the_seed_and_the_texts_of_their_prompt():
    worded = Setting("word", Steering(), ("a fast folk tune", "a fast jazz tune"), count=1)
    (trial,) = PROMPTS.trials(worded)
    assert (trial.request.prompt, trial.request.seed) == ("a fast folk tune", 3)
    assert trial.arguments == {"text": "a folk tune", "other_text": "a jazz tune"}
    later = PROMPTS.trials(Setting("plain", Steering(), first_seed=50))
    assert [trial.facts for trial in later] == [
        {"setting": "plain", "prompt": i, "seed": 50 + i} for i in range(2)
    ]


def test_records_are_those_of_the_takes_in_the_order_of_the_prompts(melody, settings, tmp_path):
    found = run(melody, settings, tmp_path)
    assert [(r["prompt"], r["seed"]) for r in found["push"]] == [(0, 3), (1, 4)]
    for record in found["plain"]:
        prompt = PROMPTS.texts[record["prompt"]]
        take = melody.generate(prompt, seconds=0.6, seed=record["seed"])
        assert record["peak"] == pytest.approx(np.abs(take.clip.samples).max(), abs=2e-5)


def test_a_stopped_run_continues_with_what_is_missing(melody, settings, tmp_path, monkeypatch):
    whole = run(melody, settings, None)
    run(melody, settings[:1], tmp_path)
    generated = []
    generate = type(melody).generate_batch

    def counted(self, requests, **options):
        generated.extend(requests)
        return generate(self, requests, **options)

    monkeypatch.setattr(type(melody), "generate_batch", counted)

    def values(found):
        return {name: [record["peak"] for record in records] for name, records in found.items()}

    assert values(run(melody, settings, tmp_path)) == values(whole)
    assert len(generated) == 2
    assert values(run(melody, settings, tmp_path)) == values(whole) and len(generated) == 2
    assert not list(tmp_path.rglob("*.flac"))
