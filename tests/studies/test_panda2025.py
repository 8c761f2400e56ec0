"""The whole study in its smoke size on a tiny checkpoint, with planted measures; and its parts."""

import re

import pytest

from tests.activations.sounds import noise_clip
from tests.studies.miniature_panda import GENRES, TINY, plant
from tonearm.errors import TonearmError
from tonearm.methods import vector_of_store
from tonearm.model import Model
from tonearm.studies.measure_groups import group
from tonearm.studies.panda2025 import materials as materials_module
from tonearm.studies.panda2025 import stages as stages_module
from tonearm.studies.panda2025.choices import Choice
from tonearm.studies.panda2025.clips import CONTINUED, MELODY
from tonearm.studies.panda2025.context import Context, GivenClip
from tonearm.studies.panda2025.design import genre_pairs, prompts_of
from tonearm.studies.panda2025.stages import STAGES
from tonearm.studies.panda2025.study import NAME, planned_takes, report, run_study
from tonearm.studies.plan import Found
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

    def refuse(*_, **__):
        raise AssertionError("it is made again")

    monkeypatch.setattr(materials_module, "measure_structure", refuse)
    monkeypatch.setattr(vector_of_store, "as_vector", refuse)
    page = run_study(model, tmp_path, TINY, Settings(workers=0))
    text = page.read_text()
    assert "Smoke run" in text and text.count("<svg") >= 10 and text.count("<audio") >= 10
    with Store(tmp_path) as store:
        counts = store.counts(NAME)
        assert all(done == trials for done, trials in counts.values()) and len(counts) == 6
        made = int(store.throughput()["takes"])
        records = store.records(NAME)
    assert 0.6 < planned_takes(TINY, True) / made < 2
    experiments = {record["experiment"] for record in records}
    assert {
        "strengths",
        "ridge",
        "forms",
        "equal divergence",
        "random",
        "instruments",
    } <= experiments
    monkeypatch.setattr(Model, "generate_batch", refuse)
    before = (tmp_path / "report.md").read_text()
    assert report(tmp_path, tmp_path / "docs" / "study.md") == page
    assert (tmp_path / "report.md").read_text() == before
    copy = (tmp_path / "docs" / "study.md").read_text()
    links = re.findall(r"!\[.*?\]\((.+?)\)", copy) + re.findall(r'src="(.+?)"', copy)
    assert len(links) >= 20 and all((tmp_path / "docs" / link).is_file() for link in links)
    (tmp_path / "given.jsonl.xz").write_bytes(b"no xz")
    with pytest.raises(TonearmError, match="missing or damaged; delete it and run the study again"):
        report(tmp_path)


@pytest.fixture
def planned(monkeypatch):
    """Trials of a stage where every α and choice is given."""
    monkeypatch.setattr(Context, "alpha", lambda self, variant, found, nats=None: nats or 0.1)
    choice = Choice("attention", "diffmean", "rotate", 0.2)
    monkeypatch.setattr(stages_module, "chosen", lambda *_, **__: choice)
    clip = noise_clip(4.0)
    given = [GivenClip(f"clip {i}", genre, "piano", clip) for i, genre in enumerate(GENRES * 2)]
    context = Context(
        TINY,
        genre_pairs(GENRES),
        AnyName(),
        None,
        given,
        [CONTINUED, MELODY],
        ("chroma",),
    )
    empty = Found((), lambda record: None)
    return lambda name: STAGES[name](context, empty)


class AnyName(dict):
    """Layer 1 for every vector."""

    def __missing__(self, key):
        return 1


def test_choices_are_made_on_neutral_prompts_and_the_held_out_ones_are_used_once(planned):
    splits = {name: {one.facts.get("split") for one in planned(name)} for name in STAGES}
    assert splits["curves"] == splits["neutral"] == {"neutral"}
    assert splits["held out"] == {"held-out"}
    for trial in planned("held out"):
        genre = trial.facts["source"]
        assert trial.text in prompts_of(genre, "held-out", TINY.held_out)
        assert trial.request.seed == 32_000 + trial.facts["prompt"]


def test_every_pair_has_its_controls_and_what_was_chosen(planned):
    found = {}
    for trial in planned("held out"):
        key = trial.facts["experiment"], trial.facts.get("pair")
        found.setdefault(key, []).append(trial)
    pairs = {pair for _, pair in found if pair}
    assert pairs == {pair.name for pair in genre_pairs(GENRES)}
    for pair in pairs:
        assert {one.facts["rule"] for one in found["random", pair]} == {
            "equal norm",
            "equal divergence",
        }
        words = {one.facts["variant"]: one for one in found["word", pair]}
        source, target = pair.split(" to ")
        assert f"{source} {target}" in words["both words"].request.prompt
        assert source not in words["target's word"].request.prompt
        assert {one.facts["form"] for one in found["forms", pair]} == {
            "blend",
            "literal",
            "rotate",
        }
        (steer,) = found["chosen method", pair][0].request.steering.steers
        assert (steer.operator, steer.strength) == ("rotate", 0.2)
        alphas = {one.facts["alpha"] for one in found["equal alpha", pair]}
        assert len(alphas) == 1


def test_given_clips_are_continued_and_rendered_anew_and_the_new_part_is_measured(planned):
    trials = planned("clips")
    for trial in trials:
        request, is_continued = trial.request, trial.facts["mode"] == CONTINUED
        assert (request.continue_from is not None) == is_continued == (request.melody is None)
    parts = planned("new parts")
    assert len(parts) == sum(one.facts["mode"] == CONTINUED for one in trials)
    assert {one.processing.parameters["start"] for one in parts} == {TINY.seconds / 2}
    assert all("chroma" in one.groups and one.facts["part"] == "new" for one in parts)
    styles = [one for one in trials if one.facts["experiment"] == "styles"]
    assert {one.facts["source"] for one in styles} == {"rock", "folk"}
