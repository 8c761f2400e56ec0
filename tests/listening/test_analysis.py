"""Analysis: listeners of known sensitivity are found as such, and results that do not fit are refused."""

import json

import numpy as np
import pytest

from tests.listening.conftest import noise
from tests.listening.listeners import result_of, write
from tonearm.errors import TonearmError
from tonearm.listening import ResultSet, analyse, read_results
from tonearm.listening.stimuli import ANCHOR

SENSITIVITY = {"fast": 0.85, "random": 0.0}  # share of differences that are audible


def results_of(key, people, behaviour):
    return ResultSet(tuple(result_of(key, f"L{n}", behaviour) for n in range(people)), (), ())


def abx_listener(rng, sensitivity):
    """Finds X where the difference is audible, and guesses otherwise."""

    def answer(conditions):
        (other,) = set(conditions) - {"plain"}
        if rng.uniform() < sensitivity[other]:
            return conditions[:2].index(conditions[2])
        return int(rng.integers(2))

    return answer


def chooser(rng, worth):
    """Chooses by the model of Bradley and Terry."""

    def answer(conditions):
        first, second = (worth[name] for name in conditions)
        return int(rng.uniform() > 1 / (1 + np.exp(second - first)))

    return answer


def rater(rng, means):
    return lambda conditions: [
        round(float(np.clip(rng.normal(means[name], 2), 0, 100))) for name in conditions
    ]


def test_abx_finds_the_audible_condition_and_not_the_other(make):
    key = make("abx", repeats=2).key
    found = analyse(results_of(key, 6, abx_listener(np.random.default_rng(0), SENSITIVITY)), key)
    fast, random = found.discriminations
    assert (fast.condition, random.condition) == ("fast", "random")
    assert fast.share.n == random.share.n == 48 and fast.share.clusters == 6
    assert fast.share.low < (1 + 0.85) / 2 < fast.share.high and fast.p_adjusted < 1e-6
    assert random.share.low < 0.5 < random.share.high and random.p_adjusted > 0.05
    assert fast.p_adjusted == pytest.approx(2 * fast.share.p)
    assert sum(total for _, total in fast.listeners.values()) == 48


def test_abx_keeps_its_false_positive_rate_without_an_audible_difference(make):
    """The exact test keeps its level whoever guesses, one side of each listener too."""
    key = make("abx").key
    rng, tests = np.random.default_rng(1), 60
    behaviours = [abx_listener(rng, {"fast": 0, "random": 0}), lambda conditions: 0]
    for behaviour in behaviours:
        rejected = sum(
            min(
                one.p_adjusted
                for one in analyse(results_of(key, 5, behaviour), key).discriminations
            )
            < 0.05
            for _ in range(tests if behaviour is behaviours[0] else 1)
        )
        assert rejected <= 8


def test_always_the_same_side_chooses_each_condition_in_half_of_the_trials_of_two_listeners(make):
    key = make("2afc").key
    found = analyse(results_of(key, 2, lambda conditions: 1), key)
    assert [one.share.value for one in found.preferences] == [0.5, 0.5]


def test_choices_against_the_reference_find_the_planted_share(make):
    key = make("2afc", repeats=3).key
    worth = {"plain": 0.0, "fast": 1.5, "random": 0.0}
    found = analyse(results_of(key, 8, chooser(np.random.default_rng(2), worth)), key)
    fast, random = found.preferences
    assert (fast.condition, fast.other) == ("fast", "plain")
    assert fast.share.low < 1 / (1 + np.exp(-1.5)) < fast.share.high and fast.p_adjusted < 1e-4
    assert random.share.low < 0.5 < random.share.high and random.p_adjusted > 0.05
    assert found.abilities["fast"].value > found.abilities["plain"].value + 1


def test_all_pairs_find_the_planted_abilities(make):
    key = make("2afc", pairs="all", repeats=3).key
    worth = {"plain": -0.5, "fast": 1.0, "random": -0.5}
    found = analyse(results_of(key, 12, chooser(np.random.default_rng(3), worth)), key)
    assert len(found.preferences) == 3
    for name, ability in found.abilities.items():
        assert ability.low < worth[name] < ability.high
        assert ability.high - ability.low < 1.2


def test_listeners_who_disagree_widen_the_interval_of_choices(make):
    key = make("2afc", repeats=3).key

    def decided(wanted):
        return lambda conditions: int((conditions[1] == "plain") != wanted)

    divided = ResultSet(
        tuple(result_of(key, f"L{n}", decided(n % 2 == 0)) for n in range(6)), (), ()
    )
    share = analyse(divided, key).preferences[0].share
    assert share.value == 0.5 and share.n == 72 and share.effective < 8


def test_mushra_finds_planted_means_and_differences(make):
    key = make("mushra").key
    means = {"plain": 97, "fast": 70, "random": 30}
    found = analyse(results_of(key, 8, rater(np.random.default_rng(4), means)), key)
    by_name = {one.condition: one for one in found.ratings}
    assert by_name["fast"].mean.low < 70 < by_name["fast"].mean.high
    assert by_name["fast"].difference.value == pytest.approx(-26, abs=3)
    assert by_name["random"].p_adjusted < 1e-4 and by_name["plain"].difference is None
    assert np.isnan(by_name["plain"].p_adjusted) and not found.excluded


def test_mushra_excludes_listeners_who_fail_the_reference_or_the_anchor_rule(make):
    key = make("mushra").key
    rng = np.random.default_rng(5)
    honest = {"plain": 98, "fast": 60, "random": 20}
    behaviours = [*(rater(rng, honest) for _ in range(4)),
                  rater(rng, {**honest, "plain": 50}), rater(rng, {**honest, "random": 98})]  # fmt: skip
    results = ResultSet(
        tuple(result_of(key, f"L{n}", one) for n, one in enumerate(behaviours)), (), ()
    )
    found = analyse(results, key, screening="both")
    assert found.listeners == ("L0", "L1", "L2", "L3") and found.ratings[0].mean.n == 4
    assert "hidden reference below 90" in found.excluded["L4"]
    assert "anchor above 90" in found.excluded["L5"]
    assert set(analyse(results, key, screening="reference").excluded) == {"L4"}
    everyone = analyse(results, key, screening="none")
    assert len(everyone.listeners) == 6 and not everyone.excluded
    with pytest.raises(TonearmError, match="screening 'some' is not known"):
        analyse(results, key, screening="some")


def test_listeners_are_excluded_by_a_made_anchor_alone(make, takes):
    """Ratings of the study's control are an outcome, by which nobody is excluded unasked."""
    kinds = [("random", "reference", ()), (ANCHOR, "both", ("L1",))]
    for name, rule, out in kinds:
        key = make("mushra", anchor=name).key
        honest = dict.fromkeys(key.conditions, 40) | {"plain": 98}
        behaviours = [
            rater(np.random.default_rng(6), honest),
            rater(np.random.default_rng(7), honest | {name: 98}),
        ]
        found = analyse(
            ResultSet(tuple(result_of(key, f"L{n}", b) for n, b in enumerate(behaviours)), (), ()),
            key,
        )
        assert (found.screening, tuple(found.excluded)) == (rule, out)
    abx = make("abx").key
    assert analyse(results_of(abx, 1, lambda conditions: 0), abx).screening is None


def test_one_listener_is_analysed_and_undefined_numbers_are_null_in_json(make):
    key = make("mushra").key
    found = analyse(
        results_of(key, 1, lambda conditions: [100] * len(conditions)), key, screening="none"
    )
    text = json.dumps(found.to_dict(), allow_nan=False)
    assert json.loads(text)["ratings"][1]["difference"]["low"] is None


def test_incomplete_results_are_counted_and_left_out_unless_they_are_wanted(make, tmp_path):
    key = make("abx").key
    whole = write(result_of(key, "L1", lambda conditions: 0), tmp_path / "r" / "1.json")
    write(result_of(key, "L2", lambda conditions: 0, answered=3), tmp_path / "r" / "2.json")
    results = read_results([tmp_path / "r"], key)
    assert results.incomplete == ("L2",)
    found = analyse(results, key)
    assert (found.listeners, found.left_out, found.answers) == (("L1",), ("L2",), 8)
    with_all = analyse(results, key, incomplete=True)
    assert with_all.answers == 11 and with_all.left_out == ()
    whole.unlink()
    with pytest.raises(TonearmError, match="none of 1 results answers every trial"):
        analyse(read_results([tmp_path / "r"], key), key)


def test_a_later_state_of_a_session_replaces_an_earlier_one(make, tmp_path):
    key = make("abx").key
    write(result_of(key, "L1", lambda conditions: 0), tmp_path / "b.json")
    early = write(result_of(key, "L1", lambda conditions: 0, answered=3), tmp_path / "a.json")
    late = tmp_path / "b.json"
    for order in ([early, late], [late, early]):
        results = read_results(order, key)
        assert results.superseded == (early,) and len(results.results[0].answers) == 8
        assert analyse(results, key).superseded == 1


def test_of_two_saves_of_a_finished_session_the_one_with_a_remark_counts(make, tmp_path):
    key = make("abx").key
    first = result_of(key, "L1", lambda conditions: 0)
    first = first.model_copy(update={"finished": first.started})
    early = write(first, tmp_path / "r" / "x.json")
    write(first.model_copy(update={"comment": "too long"}), tmp_path / "r" / "x (1).json")
    results = read_results([tmp_path / "r"], key)
    assert results.superseded == (early,) and results.results[0].comment == "too long"


def test_equal_contents_and_two_sessions_of_a_listener_are_refused(make, tmp_path):
    key = make("abx").key
    one = write(result_of(key, "L1", lambda conditions: 0), tmp_path / "a.json")
    copy = tmp_path / "copy.json"
    copy.write_text(json.dumps(json.loads(one.read_text()), sort_keys=True))  # another layout
    with pytest.raises(TonearmError, match=r"copy.json has the same content as .*a.json"):
        read_results([one, copy], key)
    other = write(result_of(key, "L1", lambda conditions: 1), tmp_path / "other.json")
    with pytest.raises(TonearmError, match="are two sessions of listener 'L1'"):
        read_results([one, other], key)
    with pytest.raises(TonearmError, match=r"a.json is given twice"):
        read_results([one, one], key)


def test_a_result_of_another_test_is_refused(make, takes, tmp_path):
    key = make("abx").key
    path = write(result_of(key, "L1", lambda conditions: 0), tmp_path / "r.json")
    noise(0.3, 99).write(takes / "fast" / "song-0.wav")
    with pytest.raises(TonearmError, match="is of another test"):
        read_results([path], make("abx").key)


def changed(content, place, value):
    *parents, last = place
    for one in parents:
        content = content[one]
    content[last] = value


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("sheet",), 5, "has sheet 5, which is not that of listener 'L1'"),
        (("listener",), "L2", "has sheet 1, which is not that of listener 'L2'"),
        (("answers", 0, "trial"), "0" * 12, "has stimuli in answer 1 that differ from its sheet"),
        (("answers", 0, "chosen"), "0" * 12, "answer 1 that is not possible"),
        (("answers", 0, "chosen"), None, "answer 1 that is not possible"),
        (("answers", 0, "seconds"), -1, "seconds: Input should be greater"),
        (("answers", 0, "ratings"), {"a": 101}, "ratings"),
        (("finished",), "yesterday", "finished"),
        (("kind",), "song", "kind"),
        (("extra",), 1, "unknown key"),
    ],
)
def test_results_that_the_page_cannot_have_saved_are_refused(make, tmp_path, place, value, said):
    key = make("abx").key
    content = result_of(key, "L1", lambda conditions: 0).model_dump(mode="json")
    changed(content, place, value)
    path = tmp_path / "r.json"
    path.write_text(json.dumps(content))
    with pytest.raises(TonearmError, match=said):
        read_results([path], key)


def test_places_without_results_are_refused(make, tmp_path):
    key = make("abx").key
    (tmp_path / "empty").mkdir()
    with pytest.raises(TonearmError, match=r"no .json file in"):
        read_results([tmp_path / "empty"], key)
    with pytest.raises(TonearmError, match="there are no results"):
        read_results([], key)
    with pytest.raises(TonearmError, match="no result of a listening test at"):
        read_results([tmp_path / "nowhere.json"], key)
