"""Parts that published studies share: estimates, arrays, and takes of prompts."""

import random

import numpy as np
import pytest

from tests.studies.miniature import TINY, plant
from tonearm.errors import TonearmError
from tonearm.model import Model
from tonearm.steering import Steer
from tonearm.studies.facchiano2025.study import estimate, planned_takes
from tonearm.studies.measure_groups import group
from tonearm.studies.prompt_takes import PromptSet, takes
from tonearm.studies.published_run import (
    PROBED,
    check_model,
    model_details,
    read_arrays,
    report_stored,
    write_arrays,
)
from tonearm.studies.store import Store


def test_an_estimate_is_that_of_the_planned_takes_at_the_rate_of_the_probes(melody, monkeypatch):
    plant(monkeypatch)
    group.cache_clear()
    model = Model(melody.checkpoint)
    made = []
    generate_batch = Model.generate_batch

    def counted(self, requests, **options):
        made.extend(requests)
        return generate_batch(self, requests, **options)

    monkeypatch.setattr(Model, "generate_batch", counted)
    found = estimate(model, TINY)
    group.cache_clear()
    assert found["probed"] == len(made) == PROBED
    assert found["takes"] == planned_takes(TINY, model.shape.layer_count)
    assert found["hours"] == pytest.approx(found["takes"] / found["takes_per_hour"])
    assert found["gigabytes"] > 0


def test_arrays_are_read_as_they_were_written_and_damage_is_refused(tmp_path):
    path = tmp_path / "rows.npz"
    with pytest.raises(TonearmError, match=r"rows.npz is missing or damaged; run the study again"):
        read_arrays(path)
    rows = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)
    write_arrays(path, {"tempo": rows})
    assert np.array_equal(read_arrays(path)["tempo"], rows)
    whole, chance, refused = path.read_bytes(), random.Random(0), 0
    for _ in range(200):
        content = bytearray(whole)
        content[chance.randrange(len(content))] = chance.randrange(256)
        path.write_bytes(content)
        try:
            read_arrays(path)
        except TonearmError:
            refused += 1
    assert refused > 100


def test_takes_of_prompts_have_rising_seeds_and_another_prompt_as_control():
    prompts = PromptSet(("a", "b", "c"), 100)
    steer = Steer(vector="tempo", strength=0.5)
    trials = takes(
        2.0,
        prompts,
        2,
        {"variant": "word"},
        [steer],
        groups=("clap",),
        requested=["fast a", "fast b", "fast c"],
    )
    assert [one.request.prompt for one in trials] == ["fast a", "fast b"]
    assert [one.request.seed for one in trials] == [100, 101]
    assert [one.arguments for one in trials] == [
        {"text": "a", "other_text": "b"},
        {"text": "b", "other_text": "a"},
    ]
    assert trials[1].facts == {"variant": "word", "prompt": 1, "seed": 101}
    assert all(one.request.seconds == 2.0 and one.groups == ("clap",) for one in trials)
    assert trials[0].request.steering.steers == (steer,)
    (plain, *_) = takes(2.0, prompts, 9, {}, groups=("clap",))
    assert plain.request.prompt == "a" and not plain.request.steering


def test_a_run_that_was_killed_between_two_stages_is_not_complete(tmp_path):
    with Store(tmp_path) as store:
        store.set_study("s", {}, {})

    def refuse(stored):
        raise AssertionError("a report of a part")

    with pytest.raises(TonearmError, match="stage takes has none of its takes; run it again"):
        report_stored(tmp_path, "s", ["takes"], refuse)


def test_a_run_with_another_checkpoint_is_not_replaced(melody, small, tmp_path):
    with Store(tmp_path) as store:
        check_model("s", melody, store)
        store.set_study("s", model_details(melody), {})
        check_model("s", melody, store)
        with pytest.raises(TonearmError, match=r"holds a run with .*; choose another --out"):
            check_model("s", small, store)
        store.set_study("old", {}, {})  # of a version that recorded no checkpoint
        check_model("old", small, store)
