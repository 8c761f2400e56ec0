"""The whole study in its smoke size on a tiny checkpoint, with planted measures; and its parts."""

import re
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tests.activations.sounds import noise_clip
from tests.studies.miniature_panda import GENRES, TINY, UNKNOWN, Clap, plant, write_noise
from tonearm.errors import TonearmError
from tonearm.methods import vector_of_store
from tonearm.model import Model
from tonearm.studies.evaluated_pieces import kept_records
from tonearm.studies.measure_groups import group
from tonearm.studies.panda2025 import materials as materials_module
from tonearm.studies.panda2025 import stages as stages_module
from tonearm.studies.panda2025.choices import Choice
from tonearm.studies.panda2025.clips import CONTINUED, MELODY
from tonearm.studies.panda2025.context import Context, GivenClip
from tonearm.studies.panda2025.design import genre_pairs, prompts_of
from tonearm.studies.panda2025.materials import make_materials
from tonearm.studies.panda2025.stages import STAGES
from tonearm.studies.panda2025.structure_results import load_structure, save_structure
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
    assert 0.5 < made / planned_takes(TINY, genre_pairs(GENRES), True) <= 1
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
    given = [
        GivenClip(f"clip {i}", genre, "piano", noise_clip(4.0, seed=i))
        for i, genre in enumerate(GENRES * 2)
    ]
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
    by_name = {one.name: one.clip for one in given}
    return SimpleNamespace(clips=by_name, stage=lambda name: STAGES[name](context, empty))


class AnyName(dict):
    """Layer 1 for every vector."""

    def __missing__(self, key):
        return 1


def test_choices_are_made_on_neutral_prompts_and_the_held_out_ones_are_used_once(planned):
    splits = {name: {one.facts.get("split") for one in planned.stage(name)} for name in STAGES}
    assert splits["curves"] == splits["neutral"] == {"neutral"}
    assert splits["held out"] == {"held-out"}
    for trial in planned.stage("held out"):
        genre = trial.facts["source"]
        assert trial.text in prompts_of(genre, "held-out", TINY.held_out)
        assert trial.request.seed == 32_000 + trial.facts["prompt"]


def test_every_pair_has_its_controls_and_what_was_chosen(planned):
    found = {}
    for trial in planned.stage("held out"):
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
    trials, seeds = planned.stage("clips"), {}
    for trial in trials:
        request, is_continued = trial.request, trial.facts["mode"] == CONTINUED
        assert (request.continue_from is not None) == is_continued == (request.melody is None)
        clip = planned.clips[trial.facts["clip"]]
        given = request.continue_from or request.melody
        length = given.samples.shape[1]
        assert np.array_equal(given.samples, clip.samples[:, :length])
        place = trial.facts["experiment"], trial.facts["source"], trial.facts["prompt"]
        assert seeds.setdefault(place, (request.seed, trial.facts["clip"])) == (
            request.seed,
            trial.facts["clip"],
        )
    parts = planned.stage("new parts")
    assert len(parts) == sum(one.facts["mode"] == CONTINUED for one in trials)
    assert {one.processing.parameters["start"] for one in parts} == {TINY.seconds / 2}
    assert all("chroma" in one.groups and one.facts["part"] == "new" for one in parts)
    styles = [one for one in trials if one.facts["experiment"] == "styles"]
    assert {one.facts["source"] for one in styles} == {"rock", "folk"}


def test_the_number_of_takes_is_that_of_the_trials(planned):
    made = sum(len(planned.stage(name)) for name in ("plain", "neutral", "held out", "clips"))
    assert planned_takes(TINY, genre_pairs(GENRES), True) == made


@pytest.fixture
def own_corpus(tmp_path):
    """A folder per genre: one is spelled otherwise, CLAP does not know one, one file is broken."""
    folder = tmp_path / "own"
    for number, genre in enumerate(("rock", "folk", "Hip-Hop", UNKNOWN)):
        (folder / genre).mkdir(parents=True)
        for index in range(9):
            write_noise(folder / genre / f"{index}.wav", 3.0, [number, index])
    (folder / "rock" / "0.wav").write_bytes(b"broken")
    return folder


def test_a_corpus_of_the_users_takes_the_place_of_the_pieces(model, own_corpus, tmp_path):
    run = tmp_path / "run"
    arguments = dict(clap=Clap(), harmony=("chroma",), workers=0, genres=own_corpus)
    found = make_materials(model, run, TINY, **arguments)
    assert list(found.genres) == ["folk", "hip hop", "rock"]
    assert {pair.name for pair in found.pairs} == {
        "folk to hip hop",
        "hip hop to folk",
        "rock to folk",
        "folk to rock",
    }
    assert any(one.startswith("pieces: 1 ") for one in found.left_out)
    info = found.vectors["rock against folk, attention, mse-probe"].info
    # a third of the tracks, two of TINY, is set aside; six segments of each other one
    assert (info.positive_count, info.negative_count) == (6 * 6, 6 * 7)
    assert "flute against the rest, residual, mse-probe" in found.vectors
    records = kept_records(run / "pieces.jsonl.xz")
    assert {one["genre"] for one in records} >= {"rock", "folk", "hip hop"}
    assert "rock/0.wav" not in {one["name"] for one in records}
    (own_corpus / "rock" / "1.wav").unlink()
    with pytest.raises(TonearmError, match="other or changed recordings"):
        make_materials(model, run, TINY, **arguments)
    for genre in ("folk", "Hip-Hop"):
        shutil.rmtree(own_corpus / genre)
    with pytest.raises(TonearmError, match="no pair of the paper's"):
        make_materials(model, tmp_path / "other", TINY, **arguments)
    assert not (tmp_path / "other").exists()


def test_measured_pieces_and_structure_are_of_the_audio_at_hand(model, tmp_path, monkeypatch):
    arguments = dict(clap=Clap(), harmony=("chroma",), workers=0)
    make_materials(model, tmp_path, TINY, **arguments)
    kept = kept_records(tmp_path / "given.jsonl.xz")
    shorter = replace(TINY, seconds=2.5)
    make_materials(model, tmp_path, shorter, **arguments)
    assert kept_records(tmp_path / "given.jsonl.xz") != kept
    structure = load_structure(tmp_path / "structure.json")
    save_structure(structure.model_copy(update={"source": "another"}), tmp_path / "structure.json")
    make_materials(model, tmp_path, shorter, **arguments)
    assert load_structure(tmp_path / "structure.json").source == structure.source
