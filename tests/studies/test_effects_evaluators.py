"""Summaries by evaluators: planted embeddings, tempi and CLAP scores are found."""

import json

import numpy as np
import pytest

from tonearm import assets
from tonearm.studies.effects_evaluators import clap_accuracies, summarise, tracker_accuracies
from tonearm.studies.effects_figures import evaluator_panels
from tonearm.studies.effects_trials import Condition, references

TAKES, WIDTH = 40, 4
PLAIN, OTHER = Condition("plain", "no steering"), Condition("other", "other seeds")
MOVED = Condition("moved", "moved")
CONDITIONS = [PLAIN, OTHER, MOVED]


@pytest.fixture
def records() -> list[dict]:
    """`moved`: 1.5 times the tempo, 2 away in the first axis, a CLAP score higher by 0.1."""
    rng = np.random.default_rng(0)
    found = []
    for condition in (*CONDITIONS, *references()):
        moved = condition is MOVED
        for prompt in range(TAKES):
            bpm = (150.0 if moved else 100.0) + prompt % 5
            bundled = None if moved and prompt == 3 else bpm
            found.append(
                {
                    "condition": condition.name,
                    "prompt": prompt,
                    "tempo": {"value": bpm * (2 if prompt < 10 else 1)},
                    "bundled_tempo": {"value": bundled},
                    "clap_score": {"value": 0.3 + 0.1 * moved + 0.001 * (prompt % 3)},
                    "clap_score_other_text": {"value": 0.1},
                    "embedder": "planted",
                    "embedding": list(rng.normal(size=WIDTH) + 2 * moved * np.eye(WIDTH)[0]),
                }
            )
    return found


def test_planted_differences_are_found(records):
    summaries = summarise(records, CONDITIONS)
    moved, plain, other = (summaries[condition.name] for condition in (MOVED, PLAIN, OTHER))
    assert moved.tempo.change == pytest.approx(0.49, abs=0.01)
    assert moved.tempo.n == moved.tempo_count == TAKES - 1
    assert moved.clap_score.change == pytest.approx(0.1)
    assert moved.clap_score_other_text.change == pytest.approx(0)
    assert moved.fad.value - plain.fad.value == pytest.approx(4, abs=1)
    assert moved.fad_same_seeds.value - other.fad_same_seeds.value == pytest.approx(4, abs=1)
    assert moved.kad.value > 10 > abs(plain.kad.value) and plain.fad_same_seeds is None
    assert plain.agreement_with_librosa.accuracy_1.value == 0.75
    assert plain.agreement_with_librosa.accuracy_2.value == 1


def test_sets_with_a_silent_take_have_no_distance(records):
    next(one for one in records if one["condition"] == "moved")["embedding"] = None
    summaries = summarise(records, CONDITIONS)
    moved = summaries["moved"]
    assert moved.fad is moved.kad is moved.fad_same_seeds is None
    assert summaries["other"].fad is not None


def test_accuracies_are_those_of_the_model_card():
    card = json.loads(assets.EVALUATORS_CARD.read_text())
    trackers = card["beats"]["performances"]
    assert tracker_accuracies() == {
        name: trackers[name]["decoded"]["accuracy_1"] for name in trackers
    }
    assert clap_accuracies()["genre"] == card["clap"]["decoded"]["genre"]


def test_bars_of_fad_begin_at_the_value_of_no_steering(records):
    summaries = summarise(records, CONDITIONS)
    tempo, score, distance = evaluator_panels(summaries, CONDITIONS)
    assert tempo.values[1] == pytest.approx(49, abs=1)
    assert score.values[1] == pytest.approx(0.1)
    assert distance.zero == summaries["plain"].fad.value
