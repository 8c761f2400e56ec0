"""The ranking of methods in its smoke size on a tiny checkpoint, with planted measures; its stages."""

import re
from types import SimpleNamespace

import pytest
import torch

from tests.steering.vectors import vector_of
from tests.studies.miniature_methods import TINY, plant
from tonearm.datasets import prompts
from tonearm.errors import TonearmError
from tonearm.methods.diffmean import DiffMean
from tonearm.model import Model
from tonearm.studies.equal_divergence import Curve, equal_strength
from tonearm.studies.measure_groups import group
from tonearm.studies.methods2026 import materials as materials_module
from tonearm.studies.methods2026 import stages as stages_module
from tonearm.studies.methods2026 import study as study_module
from tonearm.studies.methods2026.attributes import attributes
from tonearm.studies.methods2026.context import Context
from tonearm.studies.methods2026.design import layer_sets, shared_prompts
from tonearm.studies.methods2026.materials import Materials, usable_attributes
from tonearm.studies.methods2026.note_probes import PITCH_CLASSES, STEERED, note_vector
from tonearm.studies.methods2026.readings import Evaluators
from tonearm.studies.methods2026.stages import STAGES
from tonearm.studies.methods2026.stem_steering import ROWS, stem_vector
from tonearm.studies.methods2026.study import (
    NAME,
    estimate,
    make_context,
    planned_takes,
    report,
    run_study,
)
from tonearm.studies.methods2026.variants import (
    CANDIDATES,
    conditions,
    normalised,
    random_direction,
    random_name,
    scale_of,
    vector_name,
)
from tonearm.studies.methods2026.vectors import Vectors
from tonearm.studies.plan import Found
from tonearm.studies.run import Settings
from tonearm.studies.store import Store

MADE = ("plain", "neutral", "held out", "others")  # stages of takes of the model
EMPTY = Found((), lambda record: None)
FOUND = attributes(has_notes=True)
# every kind of reading, of examples and of matched processing
FEW = tuple(one for one in FOUND if one.name in ("tempo", "energy", "jazz", "without drums"))
NORMS = {0: 5.0, 1: 10.0, 2: 30.0}  # of the activations of a tiny checkpoint


@pytest.fixture
def model(melody, monkeypatch):
    plant(monkeypatch)
    group.cache_clear()
    yield Model(melody.checkpoint)
    group.cache_clear()


def refuse(*_, **__):
    raise AssertionError("it is made again")


def test_the_smoke_study_ranks_every_method_and_resumes(model, tmp_path, monkeypatch):
    for module in (materials_module, study_module):
        monkeypatch.setattr(module, "attributes", lambda has_notes: FEW)
    assert run_study(model, tmp_path, TINY, Settings(workers=0, limit=20)) is None
    with pytest.raises(TonearmError, match="is not complete: stage"):
        report(tmp_path)
    with monkeypatch.context() as patch:  # a direction that was found is read from its file
        patch.setattr(DiffMean, "fit", refuse)
        page = run_study(model, tmp_path, TINY, Settings(workers=0))
    text = page.read_text()
    assert "Smoke run" in text and text.count("<svg") == 3 and text.count("<audio") >= 10
    with Store(tmp_path) as store:
        counts, records = store.counts(NAME), store.records(NAME)
    assert all(done == trials for done, trials in counts.values()) and len(counts) == 6
    ranked = {one["condition"] for one in records if one["experiment"] == "held out"}
    assert ranked == {one.name for one in conditions(CANDIDATES)}
    assert "no autoencoder was given" in text  # the row of the features says why it is left out
    generated = [one for one in records if one["experiment"] != "divergence"]
    assert 0.9 < len(generated) / planned_takes(TINY, FEW, CANDIDATES, True) <= 1
    monkeypatch.setattr(Model, "generate_batch", refuse)
    before = (tmp_path / "report.md").read_text()
    assert report(tmp_path, tmp_path / "docs" / "study.md") == page
    assert (tmp_path / "report.md").read_text() == before
    copy = (tmp_path / "docs" / "study.md").read_text()
    links = re.findall(r"!\[.*?\]\((.+?)\)", copy) + re.findall(r'src="(.+?)"', copy)
    assert len(links) >= 13 and all((tmp_path / "docs" / link).is_file() for link in links)
    (tmp_path / "genre.jsonl.xz").write_bytes(b"no xz")
    with pytest.raises(TonearmError, match="missing or damaged; delete it and run the study again"):
        report(tmp_path)


def test_a_dry_run_states_the_takes_without_any_material(model, tmp_path):
    found = estimate(model, TINY)
    assert found["takes"] == planned_takes(TINY, FOUND, CANDIDATES, True) and found["hours"] > 0


@pytest.fixture
def planned(small, monkeypatch):
    """Trials of a stage where every vector is there, and every size and layer set is given."""
    plant(monkeypatch)
    names = [vector_name(one.name, other.name) for one in FOUND for other in CANDIDATES]
    sites = {one.site for one in CANDIDATES}
    names += [random_name(site, draw) for site in sites for draw in range(TINY.random)]
    names += [note_vector(note, method) for note in PITCH_CLASSES for method in STEERED]
    names += [stem_vector(row.method) for row in ROWS]
    vectors = {name: vector_of(small, name, activation_norms=NORMS) for name in names}
    monkeypatch.setattr(Context, "size", lambda self, variant, found, nats: nats)
    monkeypatch.setattr(stages_module, "chosen_layer_set", lambda *_: "late")
    materials = Materials(FOUND, Vectors(vectors, {}), Evaluators(None, {}), None, {}, {})
    context = make_context(TINY, small.shape.layer_count, materials, CANDIDATES)
    return SimpleNamespace(context=context, stage=lambda name: STAGES[name](context, EMPTY))


def test_the_number_of_takes_is_that_of_the_trials(planned):
    made = sum(len(planned.stage(name)) for name in MADE)
    processed = sum(bool(one.processing) for one in FOUND) * TINY.held_out
    assert planned_takes(TINY, FOUND, CANDIDATES, True) == made + processed
    protocols = [
        one
        for one in planned.stage("others")
        if one.facts["experiment"] in ("note steering", "stem steering")
    ]
    without = planned_takes(TINY, FOUND, CANDIDATES, False)
    assert without == made + processed - len(protocols) and protocols


def test_layer_sets_are_chosen_on_neutral_prompts_and_the_held_out_ones_choose_nothing(planned):
    splits = {name: {one.facts.get("split") for one in planned.stage(name)} for name in STAGES}
    assert splits["curves"] == splits["neutral"] == {"neutral"}
    assert splits["held out"] == splits["others"] == {"held-out"}
    for trial in planned.stage("held out"):
        assert trial.text in planned.context.held_out and trial.facts["layers"] == "late"
        assert "divergence" in trial.groups
        (steer,) = trial.request.steering.steers
        assert steer.layers == planned.context.layer_sets["late"]
    texts = {*planned.context.neutral, *planned.context.held_out}
    assert not any("jazz" in text or "flute" in text for text in texts)
    assert not set(planned.context.neutral) & set(planned.context.held_out)


def test_every_layer_set_has_its_random_directions_which_serve_all_attributes(planned):
    found = [one for one in planned.stage("others") if one.facts["experiment"] == "random"]
    places = {(one.facts["site"], one.facts["layers"], one.facts["draw"]) for one in found}
    assert places == {("residual", name, 0) for name in layer_sets(3)} | {("heads", "all", 0)}
    needed = {name for one in FOUND for name in one.groups}
    assert all(needed | {"divergence"} == set(one.groups) for one in found)
    assert not any("attribute" in one.facts for one in found)


def test_words_are_put_into_the_prompts_and_compared_with_them(planned):
    found = [one for one in planned.stage("others") if one.facts["experiment"] == "word"]
    assert {one.facts["attribute"] for one in found} == {one.name for one in FOUND if one.word}
    fast = next(one for one in found if one.facts["attribute"] == "tempo")
    assert "fast" in fast.request.prompt and "fast" not in fast.text


def test_readings_of_an_attribute_are_of_two_families():
    for one in FOUND:
        assert len({reading.family for reading in one.readings}) == 2, one.name
    without = {one.name: one for one in attributes(has_notes=False)}
    assert {one.family for one in without["density"].readings} == {"signal"}


def test_attributes_that_need_rendering_are_left_out_without_it(monkeypatch):
    monkeypatch.setattr(materials_module, "rendering_fault", lambda: "no FluidSynth")
    usable, left_out = usable_attributes(FOUND)
    assert left_out == dict.fromkeys(("jazz", "without drums"), "no FluidSynth")
    assert [one.name for one in usable] == ["tempo", "brightness", "energy", "density", "flute"]


def test_strengths_are_relative_to_the_activations(small):
    vector = vector_of(small, "tempo", activation_norms=NORMS)
    found = normalised(vector)
    assert scale_of(found, None) == pytest.approx(1.0, rel=1e-5) and found.name == "tempo"
    ratio = {layer: float(found[layer].norm() / vector[layer].norm()) for layer in vector.layers}
    assert len({round(value, 4) for value in ratio.values()}) == 1
    drawn = random_direction(vector, 0, 7)
    assert {i: float(drawn[i].norm()) for i in drawn.layers} == pytest.approx(NORMS)
    first, *others = (torch.nn.functional.normalize(drawn[i], dim=0) for i in drawn.layers)
    assert all(torch.allclose(first, one, atol=1e-6) for one in others)


def test_layer_sets_are_all_layers_and_thirds():
    assert layer_sets(9) == {
        "all": None,
        "early": (0, 1, 2),
        "middle": (3, 4, 5),
        "late": (6, 7, 8),
    }
    assert [one for name in ("early", "middle", "late") for one in layer_sets(10)[name]] == list(
        range(10)
    )


def test_the_bundled_prompts_are_enough():
    for texts in (prompts.neutral(), prompts.held_out()):
        found = shared_prompts(texts, 30)
        assert len(found) == 30 and not any("drums" in text for text in found)


def test_a_curve_that_starts_above_a_divergence_gives_its_smallest_strength():
    curve = Curve((0.5, 1.0, 2.0), (0.3, 0.31, 0.6))
    assert equal_strength(curve, 0.1, least=0.5) == 0.5
    assert equal_strength(curve, 5.0, most=3.0) == 3.0
    assert equal_strength(curve, 0.45, least=0.5, most=3.0) == pytest.approx(1.47, abs=0.02)
