"""The whole effects study on a tiny checkpoint: conditions, seeds, processed takes."""

from dataclasses import replace

import numpy as np
import pytest

from tests.studies.planted import vectors_of
from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.model import Model
from tonearm.studies import processing
from tonearm.studies.effects_conditions import references
from tonearm.studies.effects_run import condition_names, run_effects, vectors_fingerprint
from tonearm.studies.measure_groups import LOADERS, Group, group
from tonearm.studies.records import read_records, records_of, save_records
from tonearm.studies.run import Settings
from tonearm.studies.store import Store

PROMPTS = ("a fast folk tune", "slow dark jazz piece")


def level(requests):
    """Values that the study reads, from the level of the audio."""
    return [
        {
            name: {"value": float(np.abs(request.clip.samples).mean()) * 1000}
            for name in ("spectral_centroid", "onset_rate", "loudness")
        }
        for request in requests
    ]


@pytest.fixture
def model(melody, monkeypatch):
    own = Model(melody.checkpoint)
    for name, vector in vectors_of(own).items():
        own.vectors[name] = vector
    for name in LOADERS:
        measure = level if name == "signal" else lambda requests: [{} for _ in requests]
        made = Group(name, "planted", False, measure)
        monkeypatch.setitem(LOADERS, name, lambda made=made: made)
    group.cache_clear()
    yield own
    group.cache_clear()


def study(model, folder, only, **settings):
    return run_effects(model, PROMPTS, 1.0, folder, only, Settings(workers=0, **settings))


def test_conditions_share_the_seeds_of_their_prompts(model, tmp_path):
    only = ["plain", "other", "tempo+1", "random-12-tempo-", *(one.name for one in references())]
    whole = study(model, tmp_path, only)
    assert len(whole) == len(only) * len(PROMPTS)
    seeds = {record["setting"]: record["seed"] for record in whole if record["prompt"] == 1}
    groups = ("plain", "other", *(condition.name for condition in references()))
    assert len({seeds[name] for name in groups}) == 5
    assert seeds["tempo+1"] == seeds["plain"]
    assert "random-12-tempo" not in model.vectors
    assert {record["vectors"] for record in whole} == {vectors_fingerprint(model.vectors)}


def test_a_study_that_was_stopped_has_the_records_of_a_whole_one(model, tmp_path):
    only = ["plain", "tempo+1"]
    assert len(study(model, tmp_path / "cut", only, limit=3)) == 3
    assert study(model, tmp_path / "cut", only) == study(model, tmp_path / "whole", only)


def test_another_calibration_is_another_take(model, tmp_path):
    (before, *_), only = study(model, tmp_path, ["tempo+1"]), ["tempo+1"]
    vector = model.vectors["tempo"]
    calibration = vector.info.calibration
    stronger = calibration.positive.model_copy(update={"strength": 0.9})
    changed = calibration.model_copy(update={"positive": stronger})
    info = vector.info.model_copy(update={"calibration": changed})
    fingerprint = vectors_fingerprint(model.vectors)
    model.vectors["tempo"] = replace(vector, info=info)
    assert vectors_fingerprint(model.vectors) != fingerprint
    (after, *_) = study(model, tmp_path, only)
    assert after["take"] != before["take"] and after["vectors"] != before["vectors"]


def test_the_unsteered_takes_are_processed_to_the_effect_of_the_amounts(
    model, tmp_path, monkeypatch
):
    def softer(clip: Clip, gain: float) -> Clip:
        return Clip(clip.samples * 10 ** (gain / 20), clip.sample_rate)

    only = ["plain", "tempo+1", "brightness-1", "shelving-", "shelving+", "stretch+"]
    matched = []
    monkeypatch.setattr(
        processing, "gain_for_centroid", lambda clips, target: matched.append(target) or -6.0
    )
    # the tiny model's sample rate is below the shelf's corner
    monkeypatch.setitem(processing.FUNCTIONS, "shelving filter", softer)
    records = study(model, tmp_path, only)
    by_name = {name: records_of(records, name) for name in only}
    assert not by_name["shelving+"]  # has no takes to be matched to
    expected = [record["spectral_centroid"]["value"] for record in by_name["brightness-1"]]
    assert matched == [pytest.approx(np.mean(expected))]
    shelved, plain = by_name["shelving-"][0], by_name["plain"][0]
    assert shelved["processing"] == {"gain": -6.0} and shelved["seed"] == plain["seed"]
    assert shelved["fingerprints"].startswith(f"checkpoint {model.shape.fingerprint} on cpu")
    halved = plain["loudness"]["value"] * 10 ** (-6 / 20)
    assert shelved["loudness"]["value"] == pytest.approx(halved, rel=0.01)
    rates = [np.mean([r["onset_rate"]["value"] for r in by_name[n]]) for n in ("tempo+1", "plain")]
    rate = by_name["stretch+"][0]["processing"]["rate"]
    assert rate == pytest.approx(rates[0] / rates[1], abs=1e-3)
    with Store(tmp_path) as store:
        lengths = [store.clip(by_name[name][0]["take"]).seconds for name in ("plain", "stretch+")]
    assert lengths[0] / lengths[1] == pytest.approx(rate, rel=0.01)


def test_a_stretch_needs_onsets(model, tmp_path, monkeypatch):
    monkeypatch.setattr(processing, "mean_of", lambda takes, measure: 0.0)
    with pytest.raises(TonearmError, match="no onsets in the takes of tempo"):
        study(model, tmp_path, ["plain", "tempo+1", "stretch+"])


def test_every_condition_has_a_name_of_its_own(model):
    names = condition_names(model.vectors)
    assert len(names) == len(set(names)) and {"shelving-", "density+1"} <= set(names)


def test_saved_records_are_read_back_equal(tmp_path):
    records = [
        {"setting": "plain", "prompt": 0, "text": "a\u2028b"},
        {"setting": "x", "prompt": 1},
    ]
    save_records(records, tmp_path / "takes.jsonl.xz")
    assert list(read_records(tmp_path / "takes.jsonl.xz")) == records
