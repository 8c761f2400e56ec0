"""The whole effects study on a tiny checkpoint: resuming, protocols, kept and processed takes."""

from dataclasses import replace

import pytest

from tests.studies.planted import vectors_of
from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.generation.take import Take
from tonearm.model import Model
from tonearm.studies import effects_measures, effects_run
from tonearm.studies.effects_conditions import references
from tonearm.studies.effects_run import condition_names, run, vectors_fingerprint
from tonearm.studies.take_records import read_records, records_of, save_records

PROMPTS = ("a fast folk tune", "slow dark jazz piece")


@pytest.fixture
def model(melody) -> Model:
    own = Model(melody.checkpoint)
    for name, vector in vectors_of(own).items():
        own.vectors[name] = vector
    return own


def test_a_study_resumes_after_its_last_whole_record(model, tmp_path, monkeypatch):
    only = ["plain", "other", "tempo+1", "random-12-tempo-", *(one.name for one in references())]
    whole = run(model, PROMPTS, 1.0, tmp_path / "whole", only)
    assert len(whole) == len(only) * len(PROMPTS)
    seeds = {record["setting"]: record["seed"] for record in whole if record["prompt"] == 1}
    groups = ("plain", "other", *(condition.name for condition in references()))
    assert len({seeds[name] for name in groups}) == 5
    assert seeds["tempo+1"] == seeds["plain"]
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
    again = run(model, PROMPTS, 1.0, store.parent, only)
    assert len(measured) == len(whole) - 10

    def centroids(records):
        return {(one["setting"], one["prompt"]): one["spectral_centroid"] for one in records}

    assert centroids(again) == centroids(whole)
    assert len(list(read_records(store))) == len(whole)


def test_records_of_another_protocol_are_refused(model, tmp_path, monkeypatch):
    def study(seconds: float = 0.5) -> list:
        return run(model, PROMPTS[:1], seconds, tmp_path, ["plain"])

    records = study()
    assert study() == records
    with pytest.raises(TonearmError, match="another protocol"):
        study(seconds=0.6)
    with monkeypatch.context() as context, pytest.raises(TonearmError, match="another protocol"):
        context.setattr(model, "sampling", lambda: replace(Model.sampling(model), guidance=2.0))
        study()
    with monkeypatch.context() as context, pytest.raises(TonearmError, match="another protocol"):
        context.setattr(effects_run, "measures_fingerprint", lambda: "other definitions")
        study()
    with monkeypatch.context() as context, pytest.raises(TonearmError, match="another protocol"):
        context.setattr(effects_run, "evaluators_fingerprint", lambda evaluators: "others")
        study()
    vector = model.vectors["density"]
    info = vector.info.model_copy(update={"calibration": None})
    before = vectors_fingerprint(model.vectors)
    model.vectors["density"] = replace(vector, info=info)
    assert vectors_fingerprint(model.vectors) != before
    with pytest.raises(TonearmError, match="another protocol"):
        study()


def test_kept_takes_are_measured_again_and_not_generated_again(model, tmp_path, monkeypatch):
    def study(out: str) -> list[dict]:
        return run(model, PROMPTS, 1.0, tmp_path / out, ["tempo+1"], keep=tmp_path / "audio")

    def refuse(*arguments: object, **options: object) -> list[Take]:
        raise AssertionError("a take is generated again")

    first = study("first")
    monkeypatch.setattr(model, "generate_batch", refuse)
    assert study("second") == first


@pytest.mark.filterwarnings("ignore:n_fft")
def test_the_unsteered_takes_are_processed_to_the_effect_of_the_amounts(
    model, tmp_path, monkeypatch
):
    def softer(clip: Clip, gain: float) -> Clip:
        return Clip(clip.samples * 10 ** (gain / 20), clip.sample_rate)

    only = ["plain", "tempo+1", "brightness-1", "shelving-", "shelving+", "stretch+"]
    monkeypatch.setattr(effects_run, "gain_for_centroid", lambda clips, target: -6.0)
    # the tiny model's sample rate is below the shelf's corner
    monkeypatch.setattr(effects_run, "high_shelf", softer)
    with pytest.raises(TonearmError, match="no onsets in the takes of tempo"):
        run(model, PROMPTS, 1.0, tmp_path, only)  # those of the tiny model have none
    monkeypatch.setattr(
        effects_run, "_mean", lambda takes, measure: 4.0 if takes[0]["setting"] != "plain" else 3.0
    )
    records = run(model, PROMPTS, 1.0, tmp_path, only)
    by_name = {name: records_of(records, name) for name in only}
    assert not by_name["shelving+"]  # has no takes to be matched to
    plain = Clip.read(next((tmp_path / "audio").glob("*/plain/0.wav")))
    shelved = by_name["shelving-"][0]
    assert shelved["processing"] == {"gain": -6.0} and shelved["seed"] == 2000
    expected = effects_measures.measure_without_evaluators(softer(plain, -6.0))
    assert shelved["loudness"] == expected["loudness"]

    assert by_name["stretch+"][0]["processing"] == {"rate": 1.333}
    monkeypatch.setattr(effects_run, "gain_for_centroid", None)  # a whole set is not matched again
    assert run(model, PROMPTS, 1.0, tmp_path, only) == records


def test_every_condition_has_a_name_of_its_own(model):
    names = condition_names(model.vectors)
    assert len(names) == len(set(names)) and {"shelving-", "density+1"} <= set(names)


@pytest.mark.slow
def test_other_processes_measure_as_this_one_does(model, tmp_path):
    def study(workers: int) -> list[dict]:
        only, out = ["plain", "word-fast"], tmp_path / str(workers)
        return run(model, PROMPTS, 1.0, out, only, batch_size=1, workers=workers)

    assert study(1) == study(0)


def test_saved_records_are_read_back_equal(tmp_path):
    records = [
        {"setting": "plain", "prompt": 0, "text": "a\u2028b"},
        {"setting": "x", "prompt": 1},
    ]
    save_records(records, tmp_path / "takes.jsonl.xz")
    assert list(read_records(tmp_path / "takes.jsonl.xz")) == records
