"""Takes under several steerings: measured, stored, and continued after a stop."""

import json

import pytest

from tests.steering.vectors import vector_of
from tonearm import Steer, Steering, TonearmError
from tonearm.studies.steered_takes import Prompts, Setting, run_settings
from tonearm.studies.take_records import values_of

pytest.importorskip("beat_this.model.beat_tracker")

PROMPTS = Prompts(("a folk tune", "a jazz tune"), first_seed=3, seconds=0.6)


@pytest.fixture
def settings(melody):
    melody.vectors["push"] = vector_of(melody, "push")
    steer = Steer(vector="push", strength=2.0, source_layer=1)
    return [Setting("plain", Steering()), Setting("push", Steering(steers=(steer,)))]


def run(model, settings, store, protocol="p", batch_size=3):
    return run_settings(model, settings, PROMPTS, {}, store, protocol, batch_size=batch_size)


def test_records_are_those_of_the_takes_in_the_order_of_the_prompts(melody, settings, tmp_path):
    found = run(melody, settings, tmp_path / "takes.jsonl")
    assert [(r["prompt"], r["seed"]) for r in found["push"]] == [(0, 3), (1, 4)]
    levels = values_of(found["plain"], "loudness")
    assert all(level is not None for level in levels)
    stored = [json.loads(line) for line in (tmp_path / "takes.jsonl").read_text().splitlines()]
    assert len(stored) == 4 and stored[0] == found["plain"][0]


def test_a_stopped_run_continues_with_what_is_missing(melody, settings, tmp_path, monkeypatch):
    whole = run(melody, settings, None, batch_size=1)
    store = tmp_path / "takes.jsonl"
    run(melody, settings[:1], store, batch_size=1)
    lines = store.read_text().splitlines()
    store.write_text(lines[0] + "\n" + lines[1][:40])  # the second record was cut short
    generated = []
    generate = melody.generate_batch

    def counted(requests, **options):
        generated.extend(requests)
        return generate(requests, **options)

    monkeypatch.setattr(melody, "generate_batch", counted)
    assert run(melody, settings, store, batch_size=1) == whole
    assert len(generated) == 3
    assert run(melody, settings, store, batch_size=1) == whole and len(generated) == 3


def test_records_of_another_protocol_are_refused(melody, settings, tmp_path):
    run(melody, settings[:1], tmp_path / "takes.jsonl")
    with pytest.raises(TonearmError, match="another protocol"):
        run(melody, settings, tmp_path / "takes.jsonl", protocol="q")
