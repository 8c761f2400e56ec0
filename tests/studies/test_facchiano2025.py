"""The whole study in its smoke size on a tiny checkpoint, with planted measures; and its parts."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.studies.miniature import TINY, plant, scenes
from tonearm.errors import TonearmError
from tonearm.model import Model
from tonearm.stats.effect import Effect
from tonearm.studies.equal_divergence import Curve, equal_strength
from tonearm.studies.facchiano2025 import context as context_module
from tonearm.studies.facchiano2025 import controls, held_out, stages
from tonearm.studies.facchiano2025.analysis import analyse
from tonearm.studies.facchiano2025.choices import LayerEffect, best_layer
from tonearm.studies.facchiano2025.claims import all_claims
from tonearm.studies.facchiano2025.context import Context
from tonearm.studies.facchiano2025.design import SMOKE, WHOLE
from tonearm.studies.facchiano2025.materials import make_materials, random_name, subset_name
from tonearm.studies.facchiano2025.study import (
    NAME,
    STAGES,
    make_context,
    planned_takes,
    report,
    run_study,
)
from tonearm.studies.measure_groups import group
from tonearm.studies.plan import Found, Stack, take_key
from tonearm.studies.records import select
from tonearm.studies.run import Settings
from tonearm.studies.store import Store


@pytest.fixture
def model(melody, monkeypatch):
    plant(monkeypatch)
    group.cache_clear()
    yield Model(melody.checkpoint)
    group.cache_clear()


def test_the_smoke_study_makes_every_figure_and_table_and_resumes(model, tmp_path, monkeypatch):
    assert run_study(model, tmp_path, TINY, Settings(workers=0, limit=20)) is None
    with pytest.raises(TonearmError, match="is not complete: stage"):
        report(tmp_path)
    page = run_study(model, tmp_path, TINY, Settings(workers=0))
    text = page.read_text()
    assert "Smoke run" in text and text.count("<svg") >= 10 and text.count("<audio") == 5
    with Store(tmp_path) as store:
        counts = store.counts(NAME)
        assert all(done == trials for done, trials in counts.values()) and len(counts) == 8
        records = store.records(NAME)
        made = int(store.throughput()["takes"])
    assert 0.6 < planned_takes(TINY, model.shape.layer_count) / made < 2
    experiments = {record["experiment"] for record in records}
    assert {"layers", "strengths", "set sizes", "pairs", "grid", "table 1", "random"} <= experiments

    def refuse(*_, **__):
        raise AssertionError("a take is generated again")

    monkeypatch.setattr(Model, "generate_batch", refuse)
    before = (tmp_path / "report.md").read_text()
    assert report(tmp_path, tmp_path / "docs" / "study.md") == page
    assert (tmp_path / "report.md").read_text() == before
    copy = (tmp_path / "docs" / "study.md").read_text()
    links = re.findall(r"!\[.*?\]\((.+?)\)", copy)
    assert len(links) >= 10 and all((tmp_path / "docs" / link).is_file() for link in links)
    for name in ("fig4-layers", "table1", "claims", "leakage"):
        assert (tmp_path / "data" / f"{name}.csv").stat().st_size > 50
    with np.load(tmp_path / "activations.npz") as rows:
        results = analyse(records, dict(rows))
    (tmp_path / "activations.npz").write_bytes(b"PK")
    with pytest.raises(TonearmError, match="missing or damaged; run the study again"):
        report(tmp_path)
    assert {claim.verdict for claim in all_claims(results)} <= {
        "holds",
        "holds in part",
        "does not hold",
        "not testable here",
    }


@pytest.fixture
def planned(model, monkeypatch):
    """Vectors, and the trials of a stage where layer 1 is the best and strengths are given."""
    monkeypatch.setattr(Context, "equal", lambda self, variant, found: {"+": 0.1, "-": 0.2})
    for module in (context_module, stages, controls, held_out):
        monkeypatch.setattr(module, "best", lambda found, pair: 1)
    monkeypatch.setattr(stages, "known_curves", lambda found: {})
    context = make_context(TINY, model.shape.layer_count)
    empty = Found((), lambda record: None)
    return lambda name: STAGES[name](context, empty)


def test_choices_are_made_on_neutral_prompts_and_the_held_out_ones_are_used_once(planned):
    used = {
        name: {
            trial.request.prompt for trial in planned(name) if trial.facts.get("pair") != "energy"
        }
        for name in STAGES
        if name != "processed"
    }
    assert used["held out"] >= set(scenes("slow")[: TINY.held_out])
    for name in ("plain", "curves", "layers", "variants"):
        assert used[name] <= set(scenes("calm"))
    chosen = [one for one in planned("choices") if one.facts["experiment"] != "prompted"]
    assert {one.request.prompt for one in chosen} <= set(scenes("calm"))
    assert list(STAGES)[-2:] == ["held out", "processed"]


def test_every_experiment_has_its_controls(planned):
    found = {}
    for name in ("controls", "held out"):
        for trial in planned(name):
            found.setdefault(trial.facts["experiment"], []).append(trial)
    for experiment in ("neutral random", "random"):
        rules = {(one.facts["pair"], one.facts["rule"]) for one in found[experiment]}
        assert rules == {
            (pair, rule)
            for pair in ("tempo", "brightness")
            for rule in ("equal norm", "equal divergence")
        }
    words = {one.facts["variant"] for one in found["neutral word"]}
    assert words == {"word fast", "word slow", "word bright", "word dark"}
    (first, *_) = (one for one in found["word of pair"] if one.facts["pair"] == "energy")
    assert first.request.prompt == "a more calm folk" and first.text == "a calm folk"
    variants = {one.facts["variant"] for one in found["fast but dark"]}
    assert variants == {"two vectors", "two words", "two random directions"}


def test_equal_takes_of_several_experiments_are_made_once(model, planned):
    vectors = make_materials(model, TINY).vectors
    keys = {}
    for trial in planned("choices"):
        key = take_key(trial, Stack.of(model), vectors)
        keys.setdefault(key, set()).add(trial.facts["variant"])
    shared = [names for names in keys.values() if "tempo, one-to-all" in names]
    assert all({"tempo, branch both", "tempo, layer 1"} <= names for names in shared) and shared


def test_random_directions_of_the_two_pairs_differ(model):
    """They are added to each other, and one direction would cancel itself."""
    vectors = make_materials(model, TINY).vectors
    tempo, brightness = (vectors[random_name(name, 0)] for name in ("tempo", "brightness"))
    for layer in tempo.layers:
        cosine = torch.nn.functional.cosine_similarity(tempo[layer], brightness[layer], dim=0)
        assert abs(float(cosine)) < 0.9


def test_a_subset_of_all_prompts_is_the_whole_vector(model):
    design = replace(TINY, set_sizes=(12, 3), draws=2)
    vectors = make_materials(model, design).vectors
    whole, all_prompts = vectors["tempo"], vectors[subset_name("tempo", 12, 0)]
    for layer in whole.layers:
        assert (whole[layer] - all_prompts[layer]).abs().max() < 1e-4
    few = [vectors[subset_name("tempo", 3, draw)][1] for draw in (0, 1)]
    assert (few[0] - few[1]).abs().max() > 1e-4


@pytest.mark.parametrize(
    ("divergence", "expected"), [(0.1, 0.1), (0.4, 0.2), (1.6, 0.4), (0.025, 0.05), (6.4, 0.8)]
)
def test_strengths_of_equal_divergence_follow_a_power_law(divergence, expected, caplog):
    curve = Curve((0.1, 0.2, 0.4), (0.1, 0.4, 1.6))  # divergence = 10 strength^2
    assert equal_strength(curve, divergence) == pytest.approx(expected, rel=1e-3)
    flat = Curve((0.02, 0.5), (0.001, 0.0011))
    with caplog.at_level("WARNING"):
        assert equal_strength(flat, 0.5) == 1000
    assert "no strength up to 1000 has 0.5 nats per frame" in caplog.text
    with pytest.raises(TonearmError, match="does not rise"):
        equal_strength(Curve((0.1, 0.2), (0.3, 0.3)), 0.5)


def test_the_best_layer_steers_both_signs():
    def effect(change, error):
        return Effect(1, 1, 0, change, change - 2 * error, change + 2 * error, error, 50)

    effects = [
        LayerEffect(layer, sign, 0.1, effect(change if sign == "+" else -opposite, 0.1))
        for layer, change, opposite in ((0, 0.9, -0.5), (1, 0.4, 0.4), (2, 0.5, 0.1))
        for sign in ("+", "-")
    ]
    assert best_layer(effects) == 1
    unknown = [replace(one, effect=effect(float("nan"), float("nan"))) for one in effects]
    assert best_layer([*unknown[:2], *effects[2:]]) == 1
    assert best_layer([*effects[:2], *unknown[2:]]) == 0 == best_layer(unknown)


def test_records_are_selected_by_facts_in_the_order_of_prompts():
    records = [{"experiment": "a", "sign": "+", "prompt": i} for i in (2, 0, 1)]
    assert [one["prompt"] for one in select(records, experiment="a", sign="+")] == [0, 1, 2]
    assert select(records, experiment="b") == []


def test_the_whole_study_has_the_sizes_of_the_paper():
    assert (WHOLE.neutral, WHOLE.held_out, max(WHOLE.strengths)) == (50, 50, 5.0)
    assert max(WHOLE.set_sizes) == 100 and WHOLE.draws >= 10
    assert planned_takes(WHOLE, 9) > 6000


@pytest.mark.parametrize(("layers", "expected"), [(2, (0, 1)), (4, (0, 3)), (48, (0, 47))])
def test_a_smoke_run_scans_few_layers_from_the_first_to_the_last(layers, expected):
    assert SMOKE.layers(layers) == expected and WHOLE.layers(layers) == tuple(range(layers))
    assert replace(SMOKE, scanned=1).layers(layers) == (layers // 2,)
