"""Analysis of the study: planted effects, contrasts and controls are found, and nothing else."""

import numpy as np
import pytest

from tonearm.report.claims import verdict as verdict_of
from tonearm.stats.effect import effect
from tonearm.studies.facchiano2025.analysis import Contrast, _contrasts
from tonearm.studies.facchiano2025.claims import _tested
from tonearm.studies.facchiano2025.pairs import leakage_of
from tonearm.studies.facchiano2025.rows import by_condition, distance_of, row_of, spreads_of

PROMPTS = 20
NAMES = (
    "bundled_tempo",
    "onset_rate",
    "spectral_centroid",
    "pulse_clarity",
    "clap_score",
    "loudness",
)


def records(experiment, gain=1.0, noise=0.01, seed=0, prompts=PROMPTS, **facts):
    """Takes whose measures are `gain` times those of the prompt, with noise."""
    rng = np.random.default_rng(seed)
    levels = np.random.default_rng(99).uniform(80, 120, PROMPTS)
    return [
        {
            "experiment": experiment,
            "variant": facts.get("variant", experiment),
            "prompt": prompt,
            "seed": prompt,
            "faulty": prompt == 0,
            "embedding": rng.normal(size=3).tolist(),
            "embedder": "planted",
            "tags": {"fast": float(rng.uniform())},
            **{
                name: {"value": float(levels[prompt] * gain * (1 + rng.normal(0, noise)))}
                for name in NAMES
            },
            **facts,
        }
        for prompt in range(prompts)
    ]


PLAIN = records("plain", seed=1)


def test_a_row_has_the_planted_change_on_the_scale_of_its_measure():
    row = row_of(PLAIN, records("steered", 1.4, pair="tempo", sign="+", strength=0.1, seed=2))
    assert row.effect.change == pytest.approx(0.4, abs=0.02) and row.effect.scale == "log"
    assert row.second.change == pytest.approx(0.4, abs=0.02) and row.second.scale == "ratio"
    assert row.text.scale == "difference" and row.faulty.value == 1 / PROMPTS
    assert row.facts["strength"] == 0.1 and row.divergence is None


def test_random_directions_are_units_and_those_as_far_as_the_vector_are_counted():
    steered = records("steps", 1.3, pair="tempo", sign="+", seed=3)
    takes = [
        record
        for draw, gain in enumerate((0.9, 1.0, 1.5))
        for record in records(
            "neutral random", gain, pair="tempo", sign="+", rule="equal norm", draw=draw, seed=draw,
            prompts=5, strength=0.1, variant=f"random {draw}",
        )
    ]  # fmt: skip
    (spread,) = spreads_of(takes, "neutral random", PLAIN, steered)
    assert len(spread.rows) == 3 and spread.as_far == 1
    assert spread.vector.second.n == 5 and spread.faulty.n == 15
    assert [round(row.second.change, 1) for row in spread.rows] == [-0.1, 0.0, 0.5]
    down = [{**one, "sign": "-"} for one in takes]
    slow = records("steps", 0.95, pair="tempo", sign="-", seed=3)
    (spread,) = spreads_of(down, "neutral random", PLAIN, slow)
    assert spread.as_far == 1


def variants(better, worse):
    """Takes of two strategies of both pairs and signs, with their gains towards +."""
    return [
        record
        for pair in ("tempo", "brightness")
        for sign, power in (("+", 1), ("-", -1))
        for name, gain in (("one-to-all", better), ("all-to-all", worse))
        for record in records(
            "strategies", gain**power, pair=pair, sign=sign, variant=f"{pair}, {name}", strength=1.0,
            noise=0.05, seed=len(name) + (power > 0),
        )
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("better", "worse", "verdict"),
    [(1.5, 1.2, "holds"), (1.2, 1.2, "does not hold"), (1.2, 1.5, "does not hold")],
)
def test_a_preferred_variant_has_to_be_better_beyond_the_interval(better, worse, verdict):
    found = _contrasts(variants(better, worse), "strategies")
    assert len(found) == 4
    assert {(one.better.split(", ")[1], one.worse.split(", ")[1]) for one in found} == {
        ("one-to-all", "all-to-all")
    }
    assert verdict_of([_tested(one) for one in found]) == verdict


def test_a_test_without_numbers_is_not_testable():
    nothing = Contrast("steps", "tempo", "+", "a", "b", effect([1.0], [2.0]))
    assert _tested(nothing) is None
    assert verdict_of([True, None]) == verdict_of([]) == "not testable here"
    assert verdict_of([True, False]) == "holds in part" and verdict_of([True, True]) == "holds"


def test_leakage_marks_the_planted_cell_and_random_directions_are_beside_it():
    plain = records("plain of pairs", seed=1)
    moved = records("pairs", pair="tempo", sign="+", strength=0.1, seed=2)
    for record, before in zip(moved, plain, strict=True):
        record["onset_rate"] = {"value": before["onset_rate"]["value"] + 30}
    moved[0]["onset_rate"] = {"value": moved[0]["onset_rate"]["value"] + 1}
    random = records(
        "neutral random",
        pair="tempo",
        sign="+",
        rule="equal divergence",
        draw=0,
        strength=1.0,
        seed=4,
    )
    found = leakage_of([*plain, *moved, *random])
    assert found.rows == ("tempo +", "random 1 (tempo)")
    column = found.columns.index("onset_rate")
    assert found.certain[0, column] and found.certain.sum() <= 2
    assert found.values[0, column] > 2


def test_silent_takes_have_no_distance():
    takes = records("table 1", pair="tempo", sign="+")
    assert distance_of(takes, PLAIN).fad is not None
    takes[3] = {**takes[3], "embedding": None}
    assert distance_of(takes, PLAIN).fad is None is distance_of(takes, PLAIN).kad


def test_equal_takes_of_a_checkpoint_without_training_have_no_kernel_distance():
    takes = records("table 1", pair="tempo", sign="+")
    equal = [{**one, "embedding": PLAIN[0]["embedding"]} for one in PLAIN]
    found = distance_of(takes, equal)
    assert found.kad is None and found.fad > 0


def test_conditions_differ_by_the_facts_that_are_named():
    takes = [
        record
        for draw in (0, 1)
        for record in records("random", draw=draw, prompts=3, pair="tempo")
    ]
    assert len(by_condition(takes, "random")) == 1
    assert [len(one) for one in by_condition(takes, "random", "draw")] == [3, 3]
