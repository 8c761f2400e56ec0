"""Effects study: statistics on planted numbers, and the whole study on a tiny checkpoint."""

from dataclasses import replace

import numpy as np
import pytest

from tests.steering.vectors import vector_of
from tonearm.errors import TonearmError
from tonearm.generation.take import Take
from tonearm.model import Model
from tonearm.studies import effects_measures, effects_trials
from tonearm.studies.effects_random import Spread, spreads
from tonearm.studies.effects_report import analyse, write_readme, write_report
from tonearm.studies.effects_trials import (
    ATTRIBUTES,
    RANDOM_PROMPTS,
    RANDOM_SEEDS,
    RECORDS,
    Effect,
    all_trials,
    conditions,
    effect,
    random_conditions,
    random_control,
    random_name,
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


@pytest.mark.parametrize("relative", [True, False])
def test_the_interval_of_ten_prompts_has_the_change_in_95_percent_of_studies(relative):
    """A bootstrap of ten has it in about 90 %."""
    rng, studies, covered = np.random.default_rng(5), 600, 0
    for _ in range(studies):
        plain = rng.normal(100, 15, 10)
        steered = 1.3 * plain + rng.normal(0, 20, 10)
        found = effect(list(plain), list(steered), relative)
        covered += found.low < (0.3 if relative else 30) < found.high
    assert 0.93 < covered / studies < 0.97


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
    random = random_control(vector, 11)
    assert random.name == random_name("tempo", 11)
    best = vector[vector.info.best_layer or 0].norm()
    assert all(abs(direction.norm() - best) < 1e-4 for direction in random.directions.values())
    assert abs(random.cosine(vector, 0)) < 0.6


def test_there_are_ten_random_directions_for_each_norm_and_all_differ(model):
    controls = [
        random_control(model.vectors[name], seed)[0]
        for name in ATTRIBUTES
        for seed in RANDOM_SEEDS[name]
    ]
    assert all(len(seeds) >= 10 for seeds in RANDOM_SEEDS.values())
    units = np.array([(control / control.norm()).numpy() for control in controls])
    cosines = np.abs(units @ units.T)[~np.eye(len(units), dtype=bool)]
    assert len(units) == 20 and cosines.max() < 0.95
    found = {condition.name: condition for condition in random_conditions(1.25)}
    assert len(found) == len(random_conditions(1.25)) == 2 * 2 * 10 * 2  # strengths, norms, signs
    steer = found["random-11-tempo-0.1"].steering.steers[0]
    assert (steer.vector, steer.strength) == ("random-11-tempo", -0.1)


def test_the_random_directions_have_the_first_prompts_only():
    trials = all_trials(1.25, 50)
    prompts = [trial.prompt for trial in trials if trial.condition.name == "random-25-brightness+"]
    assert prompts == list(range(RANDOM_PROMPTS))
    assert len(trials) == 24 * 50 + 80 * RANDOM_PROMPTS
    assert len(all_trials(1.25, 2)) == 104 * 2


def test_a_study_resumes_after_its_last_whole_record(model, tmp_path, monkeypatch):
    only = ["plain", "other", "tempo+", "random-12-tempo-", *(one.name for one in references())]
    whole = run(model, PROMPTS, 1.25, 1.0, tmp_path / "whole", only)
    assert len(whole) == len(only) * len(PROMPTS)
    seeds = {record["condition"]: record["seed"] for record in whole if record["prompt"] == 1}
    groups = ("plain", "other", *(condition.name for condition in references()))
    assert len({seeds[name] for name in groups}) == 5
    assert seeds["tempo+"] == seeds["plain"]
    assert "random-12-tempo" not in model.vectors

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
    again = run(model, PROMPTS, 1.25, 1.0, store.parent, only)
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
    with monkeypatch.context() as context, pytest.raises(TonearmError, match="another protocol"):
        context.setattr(effects_trials, "measures_fingerprint", lambda: "other definitions")
        study()
    monkeypatch.setattr(effects_trials, "evaluators_fingerprint", lambda evaluators: "others")
    with pytest.raises(TonearmError, match="another protocol"):
        study()


@pytest.fixture
def records(model) -> list[dict]:
    """Records of every condition with planted numbers.

    Steering up adds 20 % to every measure, the random direction of seed s 3 (s mod 10) % at both
    signs; the random directions have three of the four prompts.
    """
    rng = np.random.default_rng(0)
    found = []
    for condition in (*conditions(1.25), *references(), *random_conditions(1.25)):
        up = condition.name.startswith(("tempo+", "brightness+"))
        is_random = condition.name.startswith("random-")
        gain = 0.03 * (int(condition.name.split("-")[1]) % 10) if is_random else 0.2 * up
        for prompt in range(3 if is_random else 4):
            factor = (1 + gain) * (1 + prompt / 100)
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
    assert results.summaries["tempo+0.1"].clap_score.change == pytest.approx(-0.1)
    assert results.summaries["plain"].fad_same_seeds is None
    by_label = {(up, down): effects for up, down, effects in results.contrasts}
    assert by_label["tempo +0.1", "tempo -0.1"]["onset_rate"].change == pytest.approx(0.2)
    assert len(by_label) == 4


def test_spreads_have_every_direction_and_count_those_that_move_as_far(records):
    found = {
        (one.attribute, one.size, one.sign, one.measure): one for one in spreads(records, 1.25)
    }
    assert len(found) == 2 * 2 * 5 * 3
    up = found["tempo", 0.1, "+", "onset_rate"]
    assert up.directions.keys() == set(RANDOM_SEEDS["tempo"])
    assert up.directions[14].change == pytest.approx(0.12)
    assert up.vector.change == pytest.approx(0.2) and up.vector.n == 3
    assert up.mean == pytest.approx(0.03 * 4.5) and max(up.changes) == pytest.approx(0.27)
    assert up.exceedance == 3  # 21, 24 and 27 %
    contrast = found["tempo", 0.1, "±", "onset_rate"]
    assert contrast.changes == pytest.approx([0.0] * 10) and contrast.exceedance == 0
    assert contrast.vector.change == pytest.approx(0.2)
    cost = found["brightness", 1.25, "+", "clap_score"]
    assert cost.vector.change == pytest.approx(-0.1) and cost.exceedance == 0


def test_exceedance_counts_in_the_sense_of_the_vector_and_contrasts_in_both():
    def change(value: float) -> Effect:
        return Effect(1.0, 1.0, value, value, value, 10)

    def spread(sign: str, vector: float, *others: float) -> Spread:
        directions = {seed: change(one) for seed, one in enumerate(others)}
        return Spread("tempo", 0.1, sign, "onset_rate", change(vector), directions)

    assert spread("+", 0.3, 0.4, 0.3, -0.5).exceedance == 2
    assert spread("-", -0.3, -0.4, 0.5, -0.2).exceedance == 1
    assert spread("±", 1.0, -0.5, 0.9, 1.5).exceedance == 2  # half is as far as twice


def test_results_need_takes_without_steering(records):
    steered = [record for record in records if record["condition"] != "plain"]
    with pytest.raises(TonearmError, match="no takes without steering"):
        analyse(steered, 1.25)


def test_the_report_has_every_condition_direction_and_figure(records, model, tmp_path):
    write_report(records, model, 1.25, 1.0, tmp_path / "docs")
    page = (tmp_path / "docs" / "effects.md").read_text()
    assert all(f"| {condition.label} |" in page for condition in conditions(1.25))
    assert model.shape.fingerprint in page
    rows = [line for line in page.splitlines() if line.startswith("| onsets per s | +0.1 |")]
    assert len(rows) == 2 and rows[0].endswith(
        "| +14% | +0% to +27% | 3 of 10 | +3% | +6% | +9% | +12% | +15% | +18% | +21% | +24% | "
        "+27% | +0% |"
    )
    assert "| random directions, norm of brightness, -1.25 |" in page
    assert "Random directions, on the first 3 of the prompts: 10 with the norm" in page
    for picture in ("effects.png", "effects-evaluators.png", "effects-random.png"):
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
        assert "| 10 random directions +0.1 | +14% (+0% to +27%) |" in "".join(rows)
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
