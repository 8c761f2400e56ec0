"""Short form of steers: paths, limits, time."""

import time

import pytest

from tonearm.errors import TonearmError
from tonearm.steering import Schedule, Steer, as_steering, parse_short


@pytest.mark.parametrize(
    "path", ["d=d/a b@1-2.safetensors", "a,b.safetensors", "x,y=z.safetensors"]
)
def test_a_path_may_contain_equals_at_and_commas(path):
    assert parse_short(f"{path}=-1@2-6").vector == path
    if "=" not in path.split(",")[0] or "," not in path:
        (steer,) = as_steering(f"{path}=-1")[0].steers
        assert (steer.vector, steer.amount) == (path, -1)


@pytest.mark.parametrize("number", ["0.4", "raw:0.4", "+0.4", " raw: 0.4 "])
@pytest.mark.parametrize("operator", ["add", "blend", "rotate", "slerp", "remove"])
def test_a_number_with_an_operator_is_a_strength(number, operator):
    steer = parse_short(f"jazz={number}@{operator}")
    assert (steer.vector, steer.strength, steer.amount) == ("jazz", 0.4, None)
    assert steer == Steer(vector="jazz", strength=0.4, operator=operator)
    (in_python,) = as_steering({"jazz": f"{number}@{operator}"})[0].steers
    assert in_python == steer


def test_an_operator_and_a_time_may_be_in_any_order():
    expected = Steer(
        vector="jazz", strength=0.4, operator="blend", schedule=Schedule.window(2.0, 6.0)
    )
    assert parse_short("jazz=0.4@blend@2-6") == parse_short("jazz=0.4 @ 2-6 @ blend") == expected
    first, second = as_steering("jazz=0.4@blend,tempo=1@2-6")[0].steers
    assert (first.operator, second.amount, second.operator) == ("blend", 1, "add")


def test_a_strategy_makes_a_strength_and_may_follow_an_operator():
    expected = Steer(vector="jazz", strength=0.4, operator="blend", strategy="all-to-all")
    assert parse_short("jazz=0.4@blend@all-to-all") == parse_short("jazz=0.4@all-to-all@blend")
    assert parse_short("jazz=0.4@blend@all-to-all") == expected
    assert parse_short("jazz=0.4@one-to-one") == Steer(
        vector="jazz", strength=0.4, strategy="one-to-one"
    )


def test_the_number_of_set_is_a_level_in_each_layer_along_its_own_direction():
    level = Steer(vector="tempo", operator="set", level=2, strategy="all-to-all")
    assert parse_short("tempo=2@set") == parse_short("tempo=+2@set@all-to-all") == level
    (in_python,) = as_steering({"tempo": "2@set"})[0].steers
    assert in_python == level and level.strength == 1
    own = Steer(vector="tempo", operator="set", level=-1.5, strategy="one-to-one")
    assert parse_short("tempo=-1.5@one-to-one@set") == own
    timed = parse_short("tempo=2@set@2-6")
    assert timed == level.model_copy(update={"schedule": Schedule.window(2.0, 6.0)})
    assert [str(steer) for steer in (level, own)] == ["tempo level +2", "tempo level -1.5"]


def test_a_gate_makes_a_strength_and_may_follow_other_suffixes():
    assert parse_short("tempo=0.4@gate:0.3") == Steer(vector="tempo", strength=0.4, gate=0.3)
    assert parse_short("tempo=raw:0.4@gate: .3@rotate@2-6") == Steer(
        vector="tempo",
        strength=0.4,
        gate=0.3,
        operator="rotate",
        schedule=Schedule.window(2.0, 6.0),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tempo=0.4@gate:", "gate"),
        ("tempo=0.4@gate:often", "gate"),
        ("tempo=0.4@gate:nan", "gate"),
        ("tempo=0.4@gate:0", "gate"),
        ("tempo=0.4@gate:0.3@gate:0.5", "is not understood"),
        ("tempo=raw:2@set", "is not understood.*tempo=2@set"),
        ("tempo=much@set", "level 'much' is not a number"),
        ("tempo=2@set@one-to-all", "set needs strategy all-to-all or one-to-one"),
        ("tempo=2@one-to-one@all-to-all", "is not understood"),
        ("jazz=0.4@blur", "is not understood.*jazz=0.4@blend"),
        ("jazz=0.4@blend@blend", "is not understood"),
        ("jazz=0.4@blend@add", "is not understood"),
        ("jazz=1@2-6@3-4", "is not understood"),
        ("jazz=0.4@", "is not understood"),
        ("jazz=5@all-to-all@one-to-one", "is not understood"),
        ("jazz=5@some-to-all", "is not understood"),
        ("jazz=much@all-to-all", "strength 'much' is not a number"),
        ("jazz=@blend", "is not understood"),
        ("jazz=much@blend", "strength 'much' is not a number"),
        ("jazz=1@clamp", "clamp needs low, high, or both"),
    ],
)
def test_an_operator_that_is_none_or_cannot_be_written_so_is_one_line(text, message):
    with pytest.raises(TonearmError, match=message) as error:
        parse_short(text)
    assert "\n" not in str(error.value)


def test_several_steers_are_separated_by_commas():
    steers = as_steering("tempo=1, mode=-1@2-3,a,b.safetensors=2")[0].steers
    assert [steer.vector for steer in steers] == ["tempo", "mode", "a,b.safetensors"]
    with pytest.raises(TonearmError, match="steer 'tempo' is not understood"):
        as_steering("tempo,mode=1")


@pytest.mark.parametrize("unit", [" ", "=", "a ", "1@", "@1-", ",", "a=1,", "\t=", "9" * 50])
@pytest.mark.parametrize("count", [300, 100_000])
def test_parsing_takes_linear_time_and_refuses_long_texts_in_one_short_line(unit, count):
    text = "tempo" + unit * count
    before = time.perf_counter()
    for parse in (parse_short, as_steering):
        try:
            parse(text)
        except TonearmError as error:
            assert len(str(error)) < 400 and "\n" not in str(error)
    assert time.perf_counter() - before < 1


def test_the_longest_steer_is_stated():
    with pytest.raises(TonearmError, match="has 100006 characters; write at most 5000"):
        parse_short("a" * 100_000 + "=" + "1" * 5)


def test_a_list_that_contains_itself_and_other_types_are_one_line():
    nested = []
    nested.append(nested)
    for steer in (nested, [3], 3, b"tempo=1"):
        with pytest.raises(TonearmError):
            as_steering(steer)
    for text in (3, None, b"tempo=1"):
        with pytest.raises(TonearmError):
            parse_short(text)
