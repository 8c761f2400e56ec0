"""Effects study: statistics on planted numbers, and the whole study on a tiny checkpoint."""

from dataclasses import replace

import numpy as np
import pytest

from tests.steering.vectors import vector_of
from tonearm.errors import TonearmError
from tonearm.generation.take import Take
from tonearm.model import Model
from tonearm.studies import effects_measures, effects_trials
from tonearm.studies.effects_report import analyse, write_readme, write_report
from tonearm.studies.effects_trials import (
    RECORDS,
    conditions,
    effect,
    random_control,
    read_records,
    references,
    run,
    save_records,
    with_word,
)

PROMPTS = ("a fast folk tune", "slow dark jazz piece")
README = """# Title
<!-- effects-tempo: begin -->
old
<!-- effects-tempo: end -->
between
<!-- effects-brightness: begin -->
old
<!-- effects-brightness: end -->
after
"""


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


def test_no_change_is_not_found_and_undefined_values_are_left_out():
    rng = np.random.default_rng(1)
    plain, other = rng.normal(100, 10, (2, 50))
    found = effect([None, *plain], [50.0, *other])
    assert found.low < 0 < found.high and found.n == 50


def test_a_difference_has_the_unit_of_the_measure_and_one_pair_has_no_effect():
    rng = np.random.default_rng(2)
    plain = rng.normal(0, 0.1, 50)
    found = effect(list(plain), list(plain + 0.2 + rng.normal(0, 0.01, 50)), relative=False)
    assert abs(found.change - 0.2) < 0.01 and 0 < found.low < 0.2 < found.high < 0.21
    alone = effect([1.0, None], [2.0, 3.0])
    assert alone.n == 1 and np.isnan([alone.mean, alone.change, alone.low, alone.high]).all()


def test_the_word_is_put_before_the_noun_phrase():
    assert with_word("A folk tune", "fast") == "A fast folk tune"
    assert with_word("Folk for a cafe", "dark") == "dark folk for a cafe"
    assert with_word("A folk tune", "") == "A folk tune"


def test_the_random_control_has_the_best_layers_norm_in_every_layer(model):
    vector = model.vectors["tempo"]
    random = random_control(vector, "random-tempo")
    best = vector[vector.info.best_layer or 0].norm()
    assert all(abs(direction.norm() - best) < 1e-4 for direction in random.directions.values())
    assert abs(random.cosine(vector, 0)) < 0.6


def test_a_study_resumes_after_its_last_whole_record(model, tmp_path, monkeypatch):
    whole = run(model, PROMPTS, 1.25, 1.0, tmp_path / "whole")
    assert len(whole) == len((*conditions(1.25), *references())) * len(PROMPTS)
    seeds = {record["condition"]: record["seed"] for record in whole if record["prompt"] == 1}
    groups = ("plain", "other", *(condition.name for condition in references()))
    assert len({seeds[name] for name in groups}) == 5
    assert seeds["tempo+"] == seeds["plain"]
    assert "random-tempo" not in model.vectors

    store = tmp_path / "cut" / "takes.jsonl"
    store.parent.mkdir()
    lines = (tmp_path / "whole" / "takes.jsonl").read_text().splitlines(keepends=True)
    store.write_text("".join(lines[:10]) + lines[10][: len(lines[10]) // 2])
    measured = []
    real = effects_measures.measure_without_evaluators
    monkeypatch.setattr(
        effects_measures,
        "measure_without_evaluators",
        lambda clip: measured.append(clip) or real(clip),
    )
    again = run(model, PROMPTS, 1.25, 1.0, store.parent)
    assert len(measured) == len(whole) - 10

    def centroids(records):
        return {(one["condition"], one["prompt"]): one["spectral_centroid"] for one in records}

    assert centroids(again) == centroids(whole)
    assert len(list(read_records(store))) == len(whole)


def test_records_of_another_protocol_are_refused(model, tmp_path, monkeypatch):
    def study(strength: float = 1.25) -> list:
        return run(model, PROMPTS[:1], strength, 0.5, tmp_path, ["plain"])

    records = study()
    assert study() == records
    with pytest.raises(TonearmError, match="another protocol"):
        study(strength=1.0)
    with monkeypatch.context() as context, pytest.raises(TonearmError, match="another protocol"):
        context.setattr(model, "sampling", lambda: replace(Model.sampling(model), guidance=2.0))
        study()
    monkeypatch.setattr(effects_trials, "evaluators_fingerprint", lambda evaluators: "others")
    with pytest.raises(TonearmError, match="another protocol"):
        study()


@pytest.fixture
def records(model) -> list[dict]:
    """Records of every condition with planted numbers: steering up adds 20 % to every measure."""
    rng = np.random.default_rng(0)
    found = []
    for condition in (*conditions(1.25), *references()):
        up = condition.name.startswith(("tempo+", "brightness+"))
        for prompt in range(4):
            factor = (1.2 if up else 1.0) * (1 + prompt / 100)
            record = {
                name: {"value": value * factor}
                for name, value in (
                    ("tempo", 100.0),
                    ("bundled_tempo", 90.0),
                    ("onset_rate", 3.0),
                    ("spectral_centroid", 1500.0),
                    ("beat_regularity", 0.5),
                    ("loudness", -20.0),
                )
            }
            record |= {"clap_score": {"value": 0.3 - 0.1 * up + 0.01 * prompt}}
            record |= {"clap_score_other_text": {"value": 0.1}, "faults": []}
            record |= {"embedder": "planted", "embedding": list(rng.normal(size=3))}
            record |= {"condition": condition.name, "prompt": prompt, "protocol": "planted"}
            found.append(record)
    return found


def test_results_have_the_planted_effects_controls_and_costs(records):
    results = analyse(records, 1.25)
    assert [condition.name for condition in results.conditions] == [
        condition.name for condition in conditions(1.25)
    ]
    for measure in ("tempo", "bundled_tempo", "onset_rate", "spectral_centroid"):
        assert results.effects["tempo+0.1", measure].change == pytest.approx(0.2)
        assert results.effects["random-tempo+0.1", measure].change == pytest.approx(0)
    assert results.summaries["tempo+0.1"].clap_score.change == pytest.approx(-0.1)
    assert results.summaries["plain"].fad_same_seeds is None
    by_label = {(up, down): effects for up, down, effects in results.contrasts}
    assert by_label["tempo +0.1", "tempo -0.1"]["onset_rate"].change == pytest.approx(0.2)
    assert len(by_label) == 6


def test_results_need_takes_without_steering(records):
    steered = [record for record in records if record["condition"] != "plain"]
    with pytest.raises(TonearmError, match="no takes without steering"):
        analyse(steered, 1.25)


def test_the_report_has_every_condition_and_both_figures(records, model, tmp_path):
    write_report(records, model, 1.25, 1.0, tmp_path / "docs")
    page = (tmp_path / "docs" / "effects.md").read_text()
    assert all(f"| {condition.label} |" in page for condition in conditions(1.25))
    assert model.shape.fingerprint in page
    for picture in ("effects.png", "effects-evaluators.png"):
        assert (tmp_path / "docs" / picture).stat().st_size > 10_000 and f"({picture})" in page


def test_the_readme_tables_are_replaced_between_their_marks(records, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(README)
    write_readme(readme, analyse(records, 1.25))
    text = readme.read_text()
    assert "old" not in text and text.startswith("# Title\n") and text.endswith("\nafter\n")
    for attribute in ("tempo", "brightness"):
        begin, end = (f"<!-- effects-{attribute}: {edge} -->\n" for edge in ("begin", "end"))
        rows = text.split(begin)[1].split(end)[0].splitlines()
        assert len(rows) == 2 + 7 and len({row.count("|") for row in rows}) == 1
    once = readme.read_text()
    write_readme(readme, analyse(records, 1.25))
    assert readme.read_text() == once
    readme.write_text("# Title\n")
    with pytest.raises(TonearmError, match="has no marks"):
        write_readme(readme, analyse(records, 1.25))


def test_kept_takes_are_measured_again_and_not_generated_again(model, tmp_path, monkeypatch):
    def study(out: str) -> list[dict]:
        audio = tmp_path / "audio"
        return run(model, PROMPTS, 1.25, 1.0, tmp_path / out, ["tempo+"], keep=audio)

    def refuse(*arguments: object, **options: object) -> list[Take]:
        raise AssertionError("a take is generated again")

    first = study("first")
    monkeypatch.setattr(model, "generate_batch", refuse)
    assert study("second") == first


@pytest.mark.slow
def test_other_processes_measure_as_this_one_does(model, tmp_path):
    def study(workers: int) -> list[dict]:
        only, out = ["plain", "word-fast"], tmp_path / str(workers)
        return run(model, PROMPTS, 1.25, 1.0, out, only, batch_size=1, workers=workers)

    assert study(1) == study(0)


def test_saved_records_are_read_back_equal(tmp_path):
    records = [
        {"condition": "plain", "prompt": 0, "text": "a\u2028b"},
        {"condition": "x", "prompt": 1},
    ]
    save_records(records, tmp_path / RECORDS)
    assert list(read_records(tmp_path / RECORDS)) == records
