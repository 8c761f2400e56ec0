"""Distances by condition: planted embeddings and tempi are found."""

import json

import numpy as np
import pytest

from tonearm import assets
from tonearm.studies.effects_conditions import references
from tonearm.studies.effects_evaluators import (
    clap_accuracies,
    measure_distances,
    tracker_accuracies,
)

TAKES, WIDTH = 40, 4
NAMES = ("plain", "other", "moved")


@pytest.fixture
def records() -> list[dict]:
    """`moved`: 2 away in the first axis; the tempi of the first ten takes are an octave apart."""
    rng = np.random.default_rng(0)
    found = []
    for name in (*NAMES, *(condition.name for condition in references())):
        moved = name == "moved"
        for prompt in range(TAKES):
            bpm = 100.0 + prompt % 5
            found.append(
                {
                    "setting": name,
                    "prompt": prompt,
                    "tempo": {"value": bpm * (2 if prompt < 10 else 1)},
                    "bundled_tempo": {"value": None if moved else bpm},
                    "embedder": "planted",
                    "embedding": list(rng.normal(size=WIDTH) + 2 * moved * np.eye(WIDTH)[0]),
                }
            )
    return found


def test_planted_distances_are_found(records):
    found = measure_distances(records, NAMES)
    plain, other, moved = (found[name] for name in NAMES)
    assert moved.fad.value - plain.fad.value == pytest.approx(4, abs=1)
    assert moved.fad_same_seeds.value - other.fad_same_seeds.value == pytest.approx(4, abs=1)
    assert moved.kad.value > 10 > abs(plain.kad.value) and plain.fad_same_seeds is None
    assert plain.agreement.accuracy_1.value == 0.75
    assert plain.agreement.accuracy_2.value == 1 and moved.agreement is None


def test_sets_with_a_silent_take_have_no_distance(records):
    next(one for one in records if one["setting"] == "moved")["embedding"] = None
    found = measure_distances(records, NAMES)
    moved = found["moved"]
    assert moved.fad is moved.kad is moved.fad_same_seeds is None
    assert found["other"].fad is not None


def test_accuracies_are_those_of_the_model_card():
    card = json.loads(assets.EVALUATORS_CARD.read_text())
    trackers = card["beats"]["performances"]
    assert tracker_accuracies() == {
        name: trackers[name]["decoded"]["accuracy_1"] for name in trackers
    }
    assert clap_accuracies()["genre"] == card["clap"]["decoded"]["genre"]
