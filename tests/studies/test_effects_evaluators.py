"""What the ears say of conditions: planted embeddings, tempi and agreements found again."""

import json

import numpy as np
import pytest

from tonearm import assets
from tonearm.studies.effects import Condition, references
from tonearm.studies.effects_evaluators import beats_accuracy, ears_panels, ears_section, judge_accuracy, read_by_ears

TAKES, WIDTH = 40, 4
PLAIN, AGAIN, MOVED = Condition("plain", "no steering"), Condition("other", "other seeds"), Condition("moved", "moved")
CONDITIONS = [PLAIN, AGAIN, MOVED]


@pytest.fixture
def records() -> list[dict]:
    """`moved` is half as fast again, 2 away from the rest in the first axis, and agrees better by 0.1."""
    rng = np.random.default_rng(0)
    found = []
    for condition in (*CONDITIONS, *references()):
        moved = condition is MOVED
        for prompt in range(TAKES):
            bpm = (150.0 if moved else 100.0) + prompt % 5
            found.append({
                "condition": condition.name,
                "prompt": prompt,
                "tempo": {"value": bpm * (2 if prompt < 10 else 1)},
                "embedded_tempo": {"value": None if moved and prompt == 3 else bpm},
                "text_agreement": 0.3 + 0.1 * moved + 0.001 * (prompt % 3),
                "others_agreement": 0.1,
                "judge": "embedded judge, planted",
                "embedding": list(rng.normal(size=WIDTH) + 2 * moved * np.eye(WIDTH)[0]),
            })  # fmt: skip
    return found


def test_planted_truths_are_found(records):
    read = read_by_ears(records, CONDITIONS)
    moved, plain, again = read["moved"], read["plain"], read["other"]
    assert moved.tempo.change == pytest.approx(0.49, abs=0.01) and moved.tempo.n == moved.tempo_count == TAKES - 1
    assert moved.agreement.change == pytest.approx(0.1) and moved.others_agreement.change == pytest.approx(0)
    assert moved.frechet.value - plain.frechet.value == pytest.approx(4, abs=1)
    assert moved.frechet_same_seeds.value - again.frechet_same_seeds.value == pytest.approx(4, abs=1)
    assert moved.kernel.value > 10 > abs(plain.kernel.value) and plain.frechet_same_seeds is None
    assert plain.same_as_librosa.accuracy_1.value == 0.75 and plain.same_as_librosa.accuracy_2.value == 1


def test_sets_of_other_sizes_are_not_compared(records):
    next(r for r in records if r["condition"] == "moved")["embedding"] = None
    read = read_by_ears(records, CONDITIONS)
    assert read["moved"].frechet is read["moved"].kernel is read["moved"].frechet_same_seeds is None
    assert read["other"].frechet is not None
    row = next(line for line in ears_section(read, CONDITIONS) if line.startswith("| moved"))
    assert row.count("–") == 3


def test_accuracies_are_those_of_the_card():
    card = json.loads(assets.EVALUATORS_CARD.read_text())
    share = card["beats"]["performances"]["embedded beats"]["decoded"]["accuracy_1"]
    assert f"embedded beats {share['value']:.0%} [" in beats_accuracy() and f"of {share['n']} " in beats_accuracy()
    assert f"genre {card['judge']['decoded']['genre']['value']:.0%}, " in judge_accuracy()


def test_the_page_names_the_ears_and_the_figure_begins_at_the_floor(records):
    read = read_by_ears(records, CONDITIONS)
    text = "\n".join(ears_section(read, CONDITIONS))
    assert "BPM, embedded beats" in text and "text agreement, embedded judge" in text
    assert (
        f"{3 * TAKES} unsteered takes" in text
        and "have 0.10" in text
        and "| no steering | 102 ± 1 |  | 40 of 40 | 75%, 100% |" in text
    )
    tempo, _, distance = ears_panels(read, CONDITIONS)
    assert tempo.values[1] == pytest.approx(49, abs=1) and distance.zero == read["plain"].frechet.value
