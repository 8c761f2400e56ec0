"""Analysis of the ranking: planted effects rank methods, and disagreeing families do not count."""

from dataclasses import replace

import numpy as np
import pytest

from tonearm.studies.methods2026.analysis import analyse
from tonearm.studies.methods2026.attributes import Attribute
from tonearm.studies.methods2026.choices import chosen_layer_set
from tonearm.studies.methods2026.claims import Preference, every_method, preferred, words
from tonearm.studies.methods2026.context import Cell
from tonearm.studies.methods2026.operators import ADD
from tonearm.studies.methods2026.readings import Evaluators, Level
from tonearm.studies.methods2026.responses import Plain
from tonearm.studies.methods2026.variants import Candidate, Condition

PROMPTS, ROUNDS, LEVELS, CUTOFF = 12, 4, (0.1, 0.3, 1.0), 0.8
TEMPO = Attribute(
    "tempo",
    "tempo",
    "fast",
    (Level("bpm", "signal", "octaves", octaves=True), Level("onsets", "signal", "per s")),
)
DRUMS = Attribute(
    "without drums",
    None,
    "",
    (Level("bpm", "signal", "octaves", octaves=True), Level("high", "signal", "dB", sense=-1)),
)
NOBODY = Evaluators(None, {})
PLAIN_VALUES = {"bpm": 100.0, "onsets": 3.0, "high": -40.0}
AXES = {"bpm": "octaves", "onsets": "sum", "high": "sum"}


def condition(name):
    return Condition(Candidate(name, "planted", None), ADD)


def take(prompt, seed, gains=None, nats=None, *, text=0.3, spread=0.1, **facts):
    """A take whose values move by gains in units of the spread of plain takes."""
    rng = np.random.default_rng([seed, prompt])
    values = {}
    for name, plain in PLAIN_VALUES.items():
        change = spread * (rng.normal() + (gains or {}).get(name, 0.0))
        values[name] = {"value": plain * 2**change if AXES[name] == "octaves" else plain + change}
    return {
        **values,
        "prompt": prompt,
        "clap_score": {"value": text + 0.01 * rng.normal()},
        "embedding": rng.normal(size=4).tolist(),
        "embedder": "planted",
        "faulty": False,
        "split": "held-out",
        **({} if nats is None else {"nats": nats, "divergence": {"value": nats}, "size": nats}),
        **facts,
    }


def takes(seed, gains=None, nats=None, **facts):
    return [take(prompt, seed, gains, nats, **facts) for prompt in range(PROMPTS)]


def steered(seed, gain, **facts):
    """Takes at all divergences, whose changes are `gain` times the divergence."""
    return [
        one
        for index, nats in enumerate(LEVELS)
        for one in takes(
            seed + index, {name: nats * value for name, value in gain.items()}, nats, **facts
        )
    ]


def plain_records():
    found = [
        one for number in range(ROUNDS) for one in takes(number, experiment="plain", round=number)
    ]
    return found + takes(90, experiment="other seeds", round=ROUNDS)


def random_records(gain=0.0):
    return [
        one
        for draw in range(3)
        for one in steered(
            200 + 10 * draw,
            dict.fromkeys(PLAIN_VALUES, gain),
            experiment="random",
            site="residual",
            layers="late",
            draw=draw,
        )
    ]


def held_out(name, gain, attribute=TEMPO, seed=1000, **facts):
    return steered(
        seed,
        gain,
        experiment="held out",
        attribute=attribute.name,
        condition=name,
        layers="late",
        **facts,
    )


def analysed(records, names, attributes=(TEMPO,), random=0.0):
    common = [*plain_records(), *random_records(random)]
    return analyse(
        [*common, *records], attributes, [condition(name) for name in names], NOBODY, CUTOFF
    )


BOTH = {"bpm": 6.0, "onsets": 6.0}


def test_the_method_that_acts_more_at_equal_divergence_ranks_first():
    records = [
        *held_out("weak", {"bpm": 3.0, "onsets": 3.0}, seed=1000),
        *held_out("strong", BOTH, seed=1100),
    ]
    results = analysed(records, ["weak", "strong"])
    assert [one.condition.name for one in results.ranking] == ["strong", "weak"]
    strong, weak = (one.cells["tempo"] for one in results.ranking)
    assert strong.counts and weak.counts
    # the area under a line of slope g to c, over c, is g c / 2
    assert strong.value == pytest.approx(6.0 * CUTOFF / 2, abs=0.6)
    assert weak.value == pytest.approx(3.0 * CUTOFF / 2, abs=0.6)
    assert strong.points[-1].nats == 1.0
    (difference,) = results.contrasts("strong", "weak")
    assert difference.difference.is_beyond()
    assert difference.difference.value == pytest.approx(strong.value - weak.value)


def test_disagreeing_families_do_not_count():
    records = [
        *held_out("one family", {"bpm": 6.0, "onsets": 0.0}, seed=1000),
        *held_out("opposed", {"bpm": 6.0, "onsets": -6.0}, seed=1100),
        *held_out("small", {"bpm": 2.0, "onsets": 2.0}, seed=1200),
    ]
    results = analysed(records, ["one family", "opposed", "small"])
    first = results.ranking[0]
    assert first.condition.name == "small" and list(first.counted) == ["tempo"]
    for name, reason in (("one family", "onsets: not certain"), ("opposed", "onsets: falls")):
        (rank,) = [one for one in results.ranking if one.condition.name == name]
        assert rank.score.value == 0 and not rank.counted
        assert rank.cells["tempo"].reason == reason
    assert results.attributes[0].ranked[0].name == "small"
    claim = every_method(results)
    assert claim.verdict == "holds in part" and "Met in 1 of 3" in claim.numbers


def test_a_random_direction_that_goes_as_far_takes_the_cell_away():
    records = held_out("method", BOTH)
    assert analysed(records, ["method"]).ranking[0].counted
    (cell,) = analysed(records, ["method"], random=9.0).attributes[0].cells
    assert not cell.counts and "a random direction goes as far" in cell.reason
    alone = analyse([*plain_records(), *records], [TEMPO], [condition("method")], NOBODY, CUTOFF)
    assert not alone.ranking[0].counted  # without the control nothing counts


def test_a_reading_that_falls_with_the_attribute_counts_in_its_sense():
    records = held_out("method", {"bpm": 6.0, "high": -6.0}, attribute=DRUMS)
    (cell,) = analysed(records, ["method"], [DRUMS]).attributes[0].cells
    assert cell.counts and cell.areas["high"].value > 1.5
    rises = held_out("method", {"bpm": 6.0, "high": 6.0}, attribute=DRUMS)
    (cell,) = analysed(rises, ["method"], [DRUMS]).attributes[0].cells
    assert cell.reason == "high: falls"


def test_an_attribute_without_a_direction_counts_as_zero_in_the_score():
    records = held_out("method", BOTH)
    one = analysed(records, ["method", "absent"]).ranking
    two = analysed(records, ["method", "absent"], [TEMPO, DRUMS]).ranking
    assert len(one) == len(two) == 1
    assert two[0].score.value == pytest.approx(one[0].score.value / 2)
    assert list(two[0].cells) == ["tempo"]


def test_takes_without_a_number_are_left_out_until_they_are_too_many():
    records = held_out("method", BOTH)

    def without(count):
        return [
            {**one, "bpm": {"value": None}} if one["prompt"] < count else one for one in records
        ]

    few = analysed(without(4), ["method"]).attributes[0].cells[0]
    assert few.areas["bpm"].n == 8 and few.counts
    many = analysed(without(7), ["method"]).attributes[0].cells[0]
    assert np.isnan(many.areas["bpm"].value) and "too few takes" in many.reason
    assert analysed(without(7), ["method"]).ranking[0].score.value == 0


def test_changes_are_against_the_mean_of_several_plain_takes():
    plain = Plain([one for one in plain_records() if one["experiment"] == "plain"], NOBODY)
    onsets = TEMPO.readings[1]
    own = [{"prompt": 0, "onsets": {"value": 5.0}}, {"prompt": 99, "onsets": {"value": 5.0}}]
    before = np.mean([one["onsets"]["value"] for one in plain.takes if one["prompt"] == 0])
    changes = plain.changes(own, onsets)
    assert changes[0] == pytest.approx(5.0 - before) and np.isnan(changes[1])
    assert plain.spread(onsets) == pytest.approx(0.1, rel=0.3)


def tried(layers, gain, seed):
    facts = {"experiment": "layer sets", "attribute": "tempo", "condition": "method"}
    found = takes(seed, {"bpm": gain, "onsets": gain}, 0.3, layers=layers, **facts)
    return [{**one, "split": "neutral"} for one in found]


def test_the_layer_set_is_chosen_on_neutral_prompts_by_both_readings():
    neutral = [
        {**one, "split": "neutral"} for one in plain_records() if one["experiment"] == "plain"
    ]
    records = [
        *neutral,
        *tried("all", 1.0, 500),
        *tried("early", 0.0, 510),
        *tried("middle", 4.0, 520),
        *tried("late", 2.0, 530),
    ]
    cell = Cell(TEMPO, condition("method"))
    assert chosen_layer_set(records, cell, NOBODY) == "middle"
    # held-out takes do not enter
    better = held_out("method", {"bpm": 90.0, "onsets": 90.0})
    assert chosen_layer_set([*records, *better], cell, NOBODY) == "middle"
    fixed = Condition(replace(cell.condition.candidate, layer_sets=("all",)), ADD)
    assert chosen_layer_set(records, Cell(TEMPO, fixed), NOBODY) == "all"


def test_a_preference_is_tested_where_one_of_the_two_counts():
    preference = Preference("place", "text", "strong", ("weak",))
    strong, weak = held_out("strong", BOTH, seed=1100), held_out("weak", {}, seed=1200)
    names = ["strong", "weak"]
    assert preferred(analysed([*strong, *weak], names), preference).verdict == "holds"
    turned = Preference("place", "text", "weak", ("strong",))
    claim = preferred(analysed([*strong, *weak], names), turned)
    assert claim.verdict == "does not hold" and "Certainly worse in 1" in claim.numbers
    neither = [*held_out("strong", {}, seed=1300), *weak]
    assert preferred(analysed(neither, names), preference).verdict == "not testable here"
    missing = Preference("place", "text", "strong", ("nothing",))
    assert preferred(analysed(strong, names), missing).verdict == "not testable here"


@pytest.mark.parametrize(
    ("gain", "text", "verdict"),
    [(2.0, 0.28, "holds"), (2.0, 0.1, "does not hold"), (30.0, 0.28, "does not hold")],
)
def test_steering_is_compared_with_the_word_at_its_cost(gain, text, verdict):
    word = takes(
        700, {"bpm": gain, "onsets": gain}, experiment="word", attribute="tempo", text=0.25
    )
    records = [*word, *held_out("method", BOTH, text=text)]
    assert words(analysed(records, ["method"])).verdict == verdict


def test_rows_are_not_compared_where_one_has_too_few_numbers():
    """The few takes that have one would give the difference an interval, and the claim a verdict."""
    weak = [
        {**one, "bpm": {"value": None}} if one["prompt"] < 7 else one
        for one in held_out("weak", {}, seed=1200)
    ]
    results = analysed([*held_out("strong", BOTH, seed=1100), *weak], ["strong", "weak"])
    (found,) = results.contrasts("strong", "weak")
    assert np.isnan([found.difference.value, found.difference.low]).all()
    preference = Preference("place", "text", "strong", ("weak",))
    assert preferred(results, preference).verdict == "not testable here"


def test_random_directions_without_a_number_are_no_control():
    silent = [{**one, "bpm": {"value": None}} for one in random_records()]
    records = [*plain_records(), *silent, *held_out("method", BOTH)]
    results = analyse(records, [TEMPO], [condition("method")], NOBODY, CUTOFF)
    (cell,) = results.attributes[0].cells
    assert not cell.counts and cell.reason == "bpm: no random direction has a number"
