"""Conditions of the effects study: amounts that pass, words, and random directions."""

import numpy as np
import pytest

from tests.steering.vectors import vector_of
from tests.studies.planted import calibrated, names_of, vectors_of
from tonearm.steering import with_strengths
from tonearm.studies.effects_conditions import (
    ATTRIBUTES,
    RANDOM_PROMPTS,
    RANDOM_SEEDS,
    conditions,
    failures,
    random_conditions,
    random_controls,
    random_name,
    with_word,
)


@pytest.fixture
def vectors(melody):
    return vectors_of(melody)


def test_the_word_is_put_before_the_noun_phrase():
    assert with_word("A folk tune", "fast dark") == "A fast dark folk tune"
    assert with_word("A folk tune", "energetic") == "An energetic folk tune"
    assert with_word("Folk for a cafe", "dark") == "dark folk for a cafe"


def test_every_amount_that_passes_has_a_condition(vectors):
    names = names_of(conditions(vectors))
    assert names[:2] == ["plain", "other"] and len(set(names)) == len(names)
    amounts = [f"{one}{amount}" for one in ATTRIBUTES for amount in ("+1", "-1", "+0.5", "-0.5")]
    words = ["word-fast", "word-slow", "word-bright", "word-dark", "word-fast-dark"]
    raw = ["tempo+raw", "tempo-raw", "brightness+raw", "brightness-raw"]
    assert {*amounts, *words, *raw, "fast-dark", "density+1"} == set(names[2:])
    found = {condition.name: condition for condition in conditions(vectors)}
    (raw_steer,) = found["tempo-raw"].steering.steers
    assert (raw_steer.strength, raw_steer.amount) == (-1.25, None)
    assert [steer.amount for steer in found["fast-dark"].steering.steers] == [1, -1]


def test_a_sign_that_fails_is_listed_with_its_reason_and_has_no_condition(melody, vectors):
    assert list(failures(vectors)) == [("density", "-", "faults in 40% of takes")]
    vectors["brightness"] = calibrated(vector_of(melody, "brightness"), failure="no effect")
    vectors["energy"] = vector_of(melody, "energy")
    names = names_of(conditions(vectors))
    assert not {"brightness-1", "brightness-0.5", "fast-dark", "energy+1"} & set(names)
    assert {"brightness+1", "brightness-raw"} <= set(names)
    assert ("energy", "+", "not calibrated") in list(failures(vectors))
    random = names_of(random_conditions(vectors))
    assert "random-21-brightness+" in random and "random-21-brightness-" not in random


def test_a_random_direction_has_the_norm_and_the_strengths_of_the_amount(vectors):
    controls = random_controls(vectors)
    control, vector = controls[random_name("tempo", 11)], vectors["tempo"]
    assert control.norms() == pytest.approx(vector.norms())
    assert abs(control.cosine(vector, 0)) < 0.6
    found = {condition.name: condition for condition in random_conditions(vectors)}
    condition = found["random-11-tempo-"]
    (steer,) = with_strengths(condition.steering, controls).steers
    assert (steer.vector, steer.strength) == ("random-11-tempo", -0.3)
    assert steer.strategy == "all-to-all" and condition.count == RANDOM_PROMPTS


def test_there_are_ten_random_directions_for_each_attribute_and_all_differ(vectors):
    controls = random_controls(vectors)
    assert len(controls) == 20 and all(len(seeds) == 10 for seeds in RANDOM_SEEDS.values())
    units = np.array([(one[0] / one[0].norm()).numpy() for one in controls.values()])
    cosines = np.abs(units @ units.T)[~np.eye(len(units), dtype=bool)]
    assert cosines.max() < 0.95
    assert len(random_conditions(vectors)) == 2 * 10 * 2
