"""Groups that the model measures: on plain codes, without a steered take, stored under fixed names."""

import json

import numpy as np
import pytest

from tests.steering.vectors import vector_of
from tonearm import Steer, Steering, TakeRequest
from tonearm.studies import model_groups
from tonearm.studies.model_groups import DIVERGENCE, ModelGroup
from tonearm.studies.plan import Study, Trial
from tonearm.studies.run import Settings, run
from tonearm.studies.store import Store

LENGTHS = (0.4, 0.8, 0.4)


def study(melody, *groups):
    """Three steered trials of two lengths."""
    steering = Steering(steers=(Steer(vector="push", strength=0.3, source_layer=1),))
    trials = [
        Trial(TakeRequest("a folk tune", i, steering, seconds=seconds), {"prompt": i}, groups)
        for i, seconds in enumerate(LENGTHS)
    ]
    return Study("test", {"steered": lambda found: trials}, {"push": vector_of(melody, "push")})


def test_a_further_group_of_the_model_needs_no_change_of_the_run(melody, tmp_path, monkeypatch):
    def measure(model, requests, plain, vectors):
        assert len({codes.shape for codes in plain}) == 1 and set(vectors) == {"push"}
        frames, level = "frames", "level"
        return [
            {frames: codes.shape[1], level: request.steering.steers[0].strength}
            for request, codes in zip(requests, plain, strict=True)
        ]

    monkeypatch.setitem(
        model_groups.MODEL_GROUPS, "counted", ModelGroup("counted", "counted 1", measure)
    )
    made = study(melody, "counted", DIVERGENCE)
    with Store(tmp_path) as store:
        records = run(made, melody, store, Settings(workers=0))
        plain = [melody.generate("a folk tune", seconds=s, seed=i) for i, s in enumerate(LENGTHS)]
        assert [record["frames"] for record in records] == [one.codes.shape[1] for one in plain]
        assert all(record["level"] == 0.3 and record[DIVERGENCE]["value"] > 0 for record in records)
        assert store.throughput()["takes"] == len(LENGTHS)  # no steered take is made
        monkeypatch.setattr(type(melody), "generate_batch", None)
        assert run(made, melody, store, Settings(workers=0)) == records


def test_divergences_are_stored_under_the_names_of_earlier_stores(melody, tmp_path):
    with Store(tmp_path) as store:
        (record, *_) = run(study(melody, DIVERGENCE), melody, store, Settings(workers=0))
        rows = store._database.execute(
            "SELECT family, fingerprint, arguments, record FROM measurements WHERE key = ?",
            (record["take"],),
        ).fetchall()
    ((family, fingerprint, arguments, stored),) = rows
    assert (family, fingerprint, arguments) == ("divergence", "KL(steered || plain) 1", "{}")
    assert json.loads(stored) == {
        "divergence": {
            "name": "divergence",
            "value": pytest.approx(record["divergence"]["value"]),
            "unit": "nats per frame",
            "protocol": "KL(steered || plain), teacher-forced on the plain take's codes",
        }
    }


def test_a_divergence_is_measured_beyond_the_limit_of_takes(melody, tmp_path):
    """The limit counts takes whose audio is measured; plain takes of divergences do not count."""
    with Store(tmp_path) as store:
        records = run(study(melody, DIVERGENCE), melody, store, Settings(workers=0, limit=0))
    assert np.isfinite([record[DIVERGENCE]["value"] for record in records]).all()
    assert len(records) == len(LENGTHS)
