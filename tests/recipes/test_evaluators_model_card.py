"""Model card of the evaluators: its takes of pocket, and numbers from planted records."""

import json

import numpy as np
import pytest

pytest.importorskip("beat_this.model.beat_tracker")
pytest.importorskip("mir_eval")

from recipes.evaluators import evaluate, model_card
from recipes.evaluators.captions import ATTRIBUTES
from recipes.evaluators.card_study import POLES, card_trials
from recipes.evaluators.card_tables import render_tables

from tests.measures.sounds import clicks, silence
from tonearm import assets
from tonearm.evaluators.load import load_tracker
from tonearm.hashing import hash_texts
from tonearm.measures import measure_tempo


@pytest.fixture(scope="module")
def trials():
    return card_trials(18)


def test_prompts_seeds_and_lengths_are_those_of_the_published_card(trials):
    """The digests are of the takes that card.json in the package was measured on."""
    digests = {
        part: hash_texts([f"{r.prompt} {r.seed} {r.seconds:g}" for r in requests])
        for part, planned in trials.items()
        for requests in [[trial.request for trial in planned]]
    }
    assert digests == {"words": "c33861e25cb28e49", "numbers": "50a598fd9d86ff7c"}


def test_the_facts_of_a_trial_are_the_words_of_its_prompt(trials):
    counts = {}
    for trial in trials["words"]:
        for attribute, value in trial.facts["truth"].items():
            words = (value, *ATTRIBUTES[attribute][value])
            assert any(word in trial.request.prompt for word in words)
            counts[attribute] = counts.get(attribute, 0) + 1
    assert counts == {"genre": 36, "lead": 36, **dict.fromkeys(POLES, 18)}
    assert all(f"at {round(t.facts['bpm'])} bpm" in t.request.prompt for t in trials["numbers"])


def test_takes_are_measured_by_the_evaluators_that_the_card_is_about(trials):
    assert {trial.groups for trial in trials["words"]} == {("clap",)}
    assert {trial.groups for trial in trials["numbers"]} == {("signal", "beats")}


class OneHot:
    """A CLAP model whose text embeddings are the rows of an identity, one per question."""

    def embed_texts(self, texts):
        return np.eye(len(texts))


def test_questions_are_answered_from_the_embeddings_in_the_records():
    """Of three bright takes one is answered as dark and one is silent; the dark one is right."""
    values = list(ATTRIBUTES["brightness"])
    rows = dict(zip(values, np.eye(len(values)).tolist(), strict=True))
    records = [
        {"truth": {"brightness": "bright"}, "embedding": rows["bright"]},
        {"truth": {"brightness": "bright"}, "embedding": rows["dark"]},
        {"truth": {"brightness": "bright"}, "embedding": None},
        {"truth": {"brightness": "dark"}, "embedding": rows["dark"]},
    ]
    genres = list(ATTRIBUTES["genre"])
    records += [
        {"truth": {"genre": genres[0]}, "embedding": row}
        for row in np.eye(len(genres))[:2].tolist()
    ]
    shares, confusions = evaluate.evaluate_clap_on_takes(OneHot(), records)
    assert (shares["brightness"]["value"], shares["brightness"]["n"]) == (pytest.approx(2 / 3), 3)
    assert (shares["genre"]["value"], shares["genre"]["n"]) == (0.5, 2)
    assert confusions.keys() == {"genre"}
    assert confusions["genre"][0] == [1, 1, *[0] * (len(genres) - 2)]


def test_tempi_are_of_records_and_the_bundled_regularity_is_of_audio():
    clips = {"steady": clicks(125), "other": clicks(100), "silent": silence(10.0)}

    def record(name, bpm, tempo, bundled, regularity):
        return {
            "name": name,
            "bpm": bpm,
            "tempo": {"value": tempo},
            "bundled_tempo": {"value": bundled},
            "beat_regularity": {"value": regularity},
        }

    records = [
        record("steady", 125.0, 125.0, 62.5, 0.9),
        record("other", 100.0, 140.0, 100.0, 0.5),
        record("silent", 100.0, None, None, None),
    ]
    found = evaluate.evaluate_beat_trackers_on_takes(records, lambda one: clips[one["name"]])
    bundled, librosa = (found[load_tracker(name).name] for name in ("bundled", "librosa"))
    for of, strict, folded in ((bundled, 1 / 3, 2 / 3), (librosa, 1 / 3, 1 / 3)):
        assert of["accuracy_1"]["value"] == pytest.approx(strict)
        assert of["accuracy_2"]["value"] == pytest.approx(folded)
        assert of["with_beats"]["value"] == pytest.approx(2 / 3)
    assert librosa["beat_regularity"]["value"] == pytest.approx(0.7)
    tracker = load_tracker("bundled")
    expected = [measure_tempo(clips[name], tracker).beat_regularity for name in ("steady", "other")]
    assert bundled["beat_regularity"]["value"] == pytest.approx(np.mean(expected))


def test_the_tables_of_the_card_are_those_of_its_numbers(tmp_path, monkeypatch):
    """`--tables-only` writes the committed card again."""
    for name in ("README.md", "card.json"):
        (tmp_path / name).write_bytes((assets.EVALUATORS / name).read_bytes())
    monkeypatch.setattr(model_card, "PACKAGE", tmp_path)
    monkeypatch.setattr(model_card.torch, "set_num_threads", lambda threads: None)
    monkeypatch.setattr("sys.argv", ["card", "--tables-only"])
    model_card.main()
    for name in ("README.md", "card.json"):
        assert (tmp_path / name).read_bytes() == (assets.EVALUATORS / name).read_bytes()
    assert render_tables(json.loads((tmp_path / "card.json").read_text())) in (
        tmp_path / "README.md"
    ).read_text(encoding="utf-8")
    assert (tmp_path / "confusion.png").stat().st_size > 0
