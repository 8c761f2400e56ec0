"""Steering schema: one JSON form for all surfaces; each rule refused in one line."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.steering.vectors import random_vector
from tonearm.errors import TonearmError
from tonearm.generation.provenance import Provenance
from tonearm.schema import validated
from tonearm.steering import Schedule, Steer, Steering, as_steering, parse_short

FULL = Steering(
    steers=(
        Steer(
            vector="tempo",
            strength=1.25,
            schedule=Schedule.window(2, 6, fade=0.5),
            layers=(0, 2),
            source_layer=1,
        ),
        Steer(
            vector="a/b.safetensors",
            operator="clamp",
            low=-1.0,
            high=2.5,
            strategy="all-to-all",
            branch="conditional",
        ),
        Steer(vector="mood", strength=-0.5, operator="blend", scale="activation", positions="all"),
        Steer(
            vector="jazz",
            strength=2,
            strategy="one-to-one",
            source_layer=3,
            operator="rotate",
            branch="unconditional",
        ),
        Steer(
            vector="energy",
            strength=0.5,
            operator="set",
            strategy="all-to-all",
            level=2.5,
            level_schedule=Schedule.ramp(0, 4),
            gate=0.3,
        ),
    )
)


def test_a_steering_survives_json_and_is_equal_in_a_file_and_in_a_sidecar(tmp_path):
    text = FULL.model_dump_json()
    assert Steering.model_validate_json(text) == FULL
    file = tmp_path / "x.json"
    file.write_text(text)
    assert Steering.from_file(file) == FULL
    file.write_text(json.dumps([steer.model_dump(mode="json") for steer in FULL.steers]))
    assert Steering.from_file(file) == FULL  # a bare list
    # The sidecar uses the same class, so that the two forms cannot differ.
    assert Provenance.model_fields["steering"].annotation is Steering


LATER = ["level", "level_schedule", "gate", "monitor"]
FEATURE = dict(operator="feature", strategy="all-to-all")
SET = {"operator": "set", "strategy": "all-to-all"}


def test_the_schema_has_the_documented_keys():
    keys = [
        "vector",
        "target",
        "unit",
        "amount",
        "strength",
        "operator",
        "scale",
        "strategy",
        "source_layer",
        "layers",
        "branch",
        "positions",
    ]
    assert list(Steer.model_json_schema()["properties"]) == [
        *keys,
        "schedule",
        "low",
        "high",
        *LATER,
    ]
    assert list(Steering.model_json_schema()["properties"]) == ["steers", "combine"]


@pytest.mark.parametrize(
    ("content", "place", "known"),
    [
        ({"steer": []}, "steer", "known are steers, combine"),
        (
            {"steers": [{"vector": "v"}, {"vector": "v", "power": 2}]},
            "steers.1.power",
            "known are vector, target, unit, amount, ",
        ),
        (
            {"steers": [{"vector": "v", "schedule": {"points": [[0, 1]], "fade": 1}}]},
            "schedule.fade",
            "known are points",
        ),
    ],
)
def test_an_unknown_key_is_refused_with_the_known_ones(tmp_path, content, place, known):
    file = tmp_path / "x.json"
    file.write_text(json.dumps(content))
    with pytest.raises(TonearmError) as error:
        Steering.from_file(file)
    assert place in str(error.value) and known in str(error.value) and str(file) in str(error.value)
    assert "\n" not in str(error.value)


def test_the_known_keys_are_those_of_the_nested_schema():
    content = dict(
        prompt="x",
        new_seconds=1,
        frames=25,
        seed=1,
        steering={},
        engine="e",
        codes_sha256="0",
        audio_sha256="0",
        sampling=dict(guidance=3, temperature=1, top_k=250, top_p=1),
        checkpoint=dict(name="p", fingerprint="f", licence="x"),
        batch=dict(size=1, row=0, text_tokens=3, guided=True),
        stack=dict(
            device="cpu", dtype="float32", threads=1, cpu="x", python="3", packages={}, cores=2
        ),
    )
    with pytest.raises(
        TonearmError, match=r"stack\.cores: unknown key; known are device, dtype, threads"
    ):
        validated(Provenance, content, where="x.json")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (dict(vector=""), "at least 1 character"),
        (dict(strength=float("nan")), "finite"),
        (dict(strength=float("inf")), "finite"),
        (dict(strength=1001), "beyond ±1000"),
        (dict(strength="loud"), "number"),
        (dict(operator="shift"), "'remove', 'set', 'clamp' or 'feature'"),
        (dict(strength=10, schedule={"points": [[0, 1], [1, 101]]}), "strength 1010 is beyond"),
        (dict(operator="slerp", strength=1.01), "strength 1.01 is beyond ±1 of slerp"),
        (dict(operator="slerp", strength=-2), "strength -2 is beyond ±1 of slerp"),
        (
            dict(operator="slerp", strength=0.8, schedule={"points": [[0, 1], [1, -1.5]]}),
            "strength -1.2 is beyond ±1 of slerp",
        ),
        (SET, "set needs level"),
        (dict(operator="set", level=2), "set needs strategy all-to-all or one-to-one"),
        (SET | dict(level=2, strength=-0.1), "strength -0.1 is not possible for set; use 0 to 1"),
        (SET | dict(level=2, strength=1.5), "strength 1.5 is not possible for set; use 0 to 1"),
        (SET | dict(level=2, schedule={"points": [[0, 0], [1, 2]]}), "strength 2 is not possible"),
        (SET | dict(level=2, schedule={"points": [[0, 1], [1, -1]]}), "strength -1 is not"),
        (SET | dict(level=float("nan")), "finite"),
        (SET | dict(level=-1001), "level -1001 is beyond ±1000"),
        (
            SET | dict(level=20, level_schedule={"points": [[0, 1], [1, 60]]}),
            "level 1200 is beyond",
        ),
        (dict(level=2), "level belongs to set and feature, not to add"),
        (dict(operator="feature"), "feature needs strategy all-to-all or one-to-one"),
        (FEATURE | dict(strength=-1.5), "strength -1.5 is below -1 of feature"),
        (FEATURE | dict(level=1, strength=2), "strength 2 is not possible for feature"),
        (FEATURE | dict(level_schedule={"points": [[0, 1]]}), "feature needs level"),
        (FEATURE | dict(level=2000), "level 2000 is beyond"),
        (dict(level_schedule={"points": [[0, 1]]}), "level belongs to set and feature, not to add"),
        (dict(strength=None, amount=1, level=2), "level comes from the calibration"),
        (dict(gate=0), "gate"),
        (dict(gate=-0.1), "greater than 0"),
        (dict(gate=1.1), "less than or equal to 1"),
        (dict(gate=float("nan")), "gate"),
        (dict(strength=None, amount=1, gate=0.5), "gate comes from the calibration"),
        (dict(operator="clamp"), "needs low, high, or both"),
        (dict(operator="clamp", low=2, high=1), "low 2 above high 1"),
        (dict(operator="clamp", low=float("nan")), "finite"),
        (dict(operator="clamp", high=float("inf")), "finite"),
        (dict(low=1), "belong to operator clamp, not to add"),
        (dict(operator="rotate", high=1), "not to rotate"),
        (dict(scale="activation"), "belongs to operator blend"),
        (dict(strategy="one-to-one", layers=[1]), "omit layers"),
        (dict(strategy="all-to-all", source_layer=1), "omit source_layer"),
        (dict(layers=[]), "omit it"),
        (dict(layers=[-1]), "greater than or equal to 0"),
        (dict(source_layer=-1), "greater than or equal to 0"),
        (dict(strategy="some"), "'one-to-all'"),
        (dict(branch="left"), "'both'"),
        (dict(positions="prefix"), "'generated'"),
        (dict(schedule={"points": []}), "at least one"),
    ],
)
def test_each_broken_rule_gives_one_line(fields, message):
    with pytest.raises(TonearmError) as error:
        validated(Steer, {"vector": "v"} | fields, where="x.json")
    assert message in str(error.value) and str(error.value).startswith("x.json: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", ["", "{", "3", '"tempo=1"', "[3]", '{"steers": 3}', "null"])
def test_a_file_without_a_steering_is_refused(tmp_path, content):
    file = tmp_path / "x.json"
    file.write_text(content)
    with pytest.raises(TonearmError, match=r"x\.json"):
        Steering.from_file(file)


def test_absent_files_folders_and_binary_files_are_refused(tmp_path):
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00\x81")
    for path in (tmp_path / "none.json", tmp_path, tmp_path / "binary.json"):
        with pytest.raises(TonearmError):
            Steering.from_file(path)


@given(st.floats(-1000, 1000))
def test_the_short_form_accepts_any_strength(strength):
    assert parse_short(f"tempo=raw:{strength!r}") == Steer(vector="tempo", strength=strength)


@given(st.floats(-10, 10))
def test_a_number_in_the_short_form_is_an_amount(amount):
    assert parse_short(f"tempo={amount!r}") == Steer(vector="tempo", amount=amount)


def test_the_short_form_accepts_spaces_paths_and_windows():
    assert parse_short(" tempo = 1.25 ") == Steer(vector="tempo", amount=1.25)
    assert parse_short(" tempo = raw: 1.25 ") == Steer(vector="tempo", strength=1.25)
    assert parse_short("out/my tempo.safetensors=-1") == Steer(
        vector="out/my tempo.safetensors", amount=-1
    )
    windowed = Steer(vector="tempo", amount=1.5, schedule=Schedule.window(2, 6.5))
    assert parse_short("tempo=1.5@2-6.5") == parse_short("tempo=1.5 @ 2 - 6.5") == windowed
    raw = Steer(vector="tempo", strength=1.5, schedule=Schedule.window(2, 6.5))
    assert parse_short("tempo=raw:1.5@2-6.5") == raw


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tempo",
        "=1",
        "tempo=",
        "tempo=fast",
        "tempo=1@",
        "tempo=1@6-2",
        "tempo=1@2",
        "tempo=1@1.2.3-4",
        "tempo=nan",
        "tempo=inf",
        "tempo=1e9",
        "tempo=1=2",
        "tempo=raw",
        "tempo=raw:",
        "tempo=raw:fast",
        "tempo=raw:1e9",
        "tempo=11",
    ],
)
def test_a_wrong_short_form_is_refused_in_one_line(text):
    with pytest.raises(TonearmError) as error:
        parse_short(text)
    assert "\n" not in str(error.value) and repr(text) in str(error.value)


def test_all_forms_of_a_steering_are_equal():
    vector = random_vector(name="tempo")
    expected = Steering(
        steers=(Steer(vector="tempo", strength=1.25), Steer(vector="jazz", amount=-1))
    )
    forms = [
        expected,
        "tempo=raw:1.25,jazz=-1",
        {"tempo": "raw:1.25", "jazz": -1},
        {vector: "raw:1.25", "jazz": "-1"},
        ["tempo=raw:1.25", "jazz=-1"],
        list(expected.steers),
        (Steer(vector="tempo", strength=1.25), "jazz=-1"),
        [{vector: "raw:1.25"}, {"jazz": -1}],
    ]
    for form in forms:
        assert as_steering(form)[0] == expected, form
    assert as_steering({vector: 1.25})[1] == {"tempo": vector} == as_steering([{vector: 1.25}])[1]
    assert as_steering(None)[0] == as_steering({})[0] == as_steering([])[0] == Steering()
    assert not Steering() and expected
    assert str(expected) == "tempo raw +1.25, jazz -1" and str(Steering()) == "plain"


def test_two_vectors_of_one_name_are_refused():
    first, second = random_vector(name="tempo"), random_vector(name="tempo", seed=1)
    for form in (
        {first: 1.0, second: 2.0},
        {"tempo": 1.0, second: 2.0},
        [{first: 1.0}, {second: 1.0}],
        [{first: 1.0}, "tempo=2"],
        ["tempo=2", {first: 1.0}],
    ):
        with pytest.raises(TonearmError, match="two vectors are named 'tempo'"):
            as_steering(form)


@pytest.mark.parametrize("form", [3, 1.5, object(), b"tempo=1", [1], random_vector()])
def test_other_types_are_refused_as_steering(form):
    with pytest.raises(TonearmError, match="give a dict"):
        as_steering(form)


@pytest.mark.parametrize("strength", [float("nan"), float("inf"), -1e9, None, "much"])
def test_an_impossible_strength_is_refused_in_a_mapping(strength):
    with pytest.raises(TonearmError, match="tempo"):
        as_steering({"tempo": strength})


def test_the_sidecar_of_a_take_is_a_steering_file(tmp_path):
    steering = Steering(steers=(Steer(vector="tempo", strength=0.5),))
    file = tmp_path / "take.json"
    file.write_text(
        json.dumps(
            {"kind": "tonearm take", "prompt": "x", "steering": steering.model_dump(mode="json")}
        )
    )
    assert Steering.from_file(file) == steering
