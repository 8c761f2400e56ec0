"""The effects study: its statistics on planted numbers, and the whole of it, small, on a tiny checkpoint."""

import numpy as np
import pytest

from tests.steering.vectors import vector_of
from tonearm.errors import TonearmError
from tonearm.model import Model
from tonearm.studies import effects, effects_measures
from tonearm.studies.effects import conditions, control, effect, read_records, references, run, with_word
from tonearm.studies.effects_report import write_report

PROMPTS = ("a fast folk tune", "slow dark jazz piece")


@pytest.fixture
def model(melody) -> Model:
    own = Model(melody.checkpoint)
    for seed, name in enumerate(("tempo", "brightness")):
        own.vectors[name] = vector_of(own, name, seed=seed)
    return own


def test_a_planted_change_is_found_with_its_interval():
    rng = np.random.default_rng(0)
    plain = rng.normal(100, 10, 50)
    found = effect(list(plain), list(1.3 * plain + rng.normal(0, 2, 50)))
    assert found.low < 0.3 < found.high and found.high - found.low < 0.03
    assert abs(found.change - 0.3) < 0.01 and found.n == 50


def test_no_change_is_not_found_and_what_cannot_be_told_is_left_out():
    rng = np.random.default_rng(1)
    plain, other = rng.normal(100, 10, (2, 50))
    found = effect([None, *plain], [50.0, *other])
    assert found.low < 0 < found.high and found.n == 50


def test_a_difference_is_told_in_its_own_unit_and_one_pair_tells_nothing():
    rng = np.random.default_rng(2)
    plain = rng.normal(0, 0.1, 50)
    found = effect(list(plain), list(plain + 0.2 + rng.normal(0, 0.01, 50)), relative=False)
    assert abs(found.change - 0.2) < 0.01 and 0 < found.low < 0.2 < found.high < 0.21
    alone = effect([1.0, None], [2.0, 3.0])
    assert alone.n == 1 and np.isnan([alone.mean, alone.change, alone.low, alone.high]).all()


def test_the_word_goes_before_the_noun_phrase():
    assert with_word("A folk tune", "fast") == "A fast folk tune"
    assert with_word("Folk for a cafe", "dark") == "dark folk for a cafe"
    assert with_word("A folk tune", "") == "A folk tune"


def test_the_control_has_the_best_layers_norm_in_every_layer(model):
    vector = model.vectors["tempo"]
    random = control(vector, "random-tempo")
    best = vector[vector.info.best_layer or 0].norm()
    assert all(abs(direction.norm() - best) < 1e-4 for direction in random.directions.values())
    assert abs(random.cosine(vector, 0)) < 0.6


def test_a_study_resumes_where_it_was_cut_and_writes_its_report(model, tmp_path, monkeypatch):
    whole = run(model, PROMPTS, 1.25, 1.0, tmp_path / "whole")
    assert len(whole) == len((*conditions(1.25), *references())) * len(PROMPTS)
    seeds = {r["condition"]: r["seed"] for r in whole if r["prompt"] == 1}
    assert len({seeds[name] for name in ("plain", "other", *(c.name for c in references()))}) == 5
    assert seeds["tempo+"] == seeds["plain"]
    store = tmp_path / "cut" / "takes.jsonl"
    store.parent.mkdir()
    lines = (tmp_path / "whole" / "takes.jsonl").read_text().splitlines(keepends=True)
    store.write_text("".join(lines[:10]) + lines[10][: len(lines[10]) // 2])  # a kill in the middle of a line
    made = []
    real = effects_measures.describe_briefly
    monkeypatch.setattr(effects_measures, "describe_briefly", lambda clip: made.append(clip) or real(clip))
    again = run(model, PROMPTS, 1.25, 1.0, store.parent)
    assert len(made) == len(whole) - 10
    key = lambda record: (record["condition"], record["prompt"])  # noqa: E731
    assert {key(r): r["brightness"] for r in again} == {key(r): r["brightness"] for r in whole}
    assert len(list(read_records(store))) == len(whole)
    with pytest.raises(TonearmError, match="another protocol"):
        run(model, PROMPTS, 1.0, 1.0, store.parent)
    with monkeypatch.context() as turned, pytest.raises(TonearmError, match="another protocol"):
        turned.setattr(model.checkpoint.model.generation_config, "guidance_scale", 2.0)
        run(model, PROMPTS, 1.25, 1.0, store.parent)
    monkeypatch.setattr(effects, "fingerprint_of", lambda ears: "judge 0 beats 0")
    with pytest.raises(TonearmError, match="another protocol"):  # other ears
        run(model, PROMPTS, 1.25, 1.0, store.parent)

    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- effects: begin -->old<!-- effects: end -->\nafter\n")
    for record in whole:  # noise has no tempo: plant one
        record["tempo"] |= {"value": 100.0 + record["prompt"], "steadiness": 0.9}
        record["embedded_tempo"] |= {"value": 90.0 + record["prompt"]}
    write_report(whole, model, 1.25, 1.0, tmp_path / "docs", readme)
    page = (tmp_path / "docs" / "effects.md").read_text()
    assert all(condition.label in page for condition in conditions(1.25))
    assert model.checkpoint.fingerprint in page and "2 held-out prompts" in page
    for picture in ("effects.png", "effects-ears.png"):
        assert (tmp_path / "docs" / picture).stat().st_size > 10_000 and f"({picture})" in page
    assert readme.read_text().startswith("before\n<!-- effects: begin -->\n|") and "old" not in readme.read_text()


def test_takes_that_were_kept_are_heard_again_and_not_made_again(model, tmp_path, monkeypatch):
    def heard(out: str) -> list[dict]:
        return run(model, PROMPTS, 1.25, 1.0, tmp_path / out, ["tempo+"], keep=tmp_path / "audio")

    first = heard("first")
    monkeypatch.setattr(model, "takes", None)
    assert heard("second") == first


def test_processes_measure_what_one_process_measures(model, tmp_path):
    def made(workers: int) -> list[dict]:
        only = ["plain", "word-fast"]
        return run(model, PROMPTS, 1.25, 1.0, tmp_path / str(workers), only, batch_size=1, workers=workers)

    assert made(1) == made(0)
