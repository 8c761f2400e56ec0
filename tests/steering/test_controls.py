"""Controls: targets, limits and JSON."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tonearm.errors import TonearmError
from tonearm.schema import validated
from tonearm.steering import Control

TARGETS = (
    *("guidance", "temperature", "mute", "amount/tempo", "strength/tempo", "level/tempo"),
    "strength/a/b.safetensors",
)


@pytest.mark.parametrize("target", TARGETS)
def test_a_control_survives_json(target):
    control = Control(target=target, value=0.5)
    assert json.loads(control.model_dump_json()) == {"target": target, "value": 0.5}
    assert Control.model_validate_json(control.model_dump_json()) == control


@given(st.text(min_size=1), st.floats(allow_nan=False, allow_infinity=False))
@pytest.mark.parametrize("setting", ["amount", "strength", "level"])
def test_a_setting_of_a_vector_names_it(setting, name, value):
    control = getattr(Control, setting)(name, value)
    assert (control.target, control.value) == (f"{setting}/{name}", value)
    assert (control.setting, control.vector) == (setting, name)


def test_other_settings_have_no_vector():
    for target in ("guidance", "temperature", "mute"):
        control = Control(target=target, value=1)
        assert control.vector is None and control.setting is None


@pytest.mark.parametrize(
    "target", ["", "strength", "strength/", "level/", "share/x", "volume", "Guidance", "tempo"]
)
def test_an_unknown_target_is_refused_with_the_known_ones(target):
    with pytest.raises(TonearmError) as error:
        validated(Control, {"target": target, "value": 1}, where="message")
    vectors = "target/<vector>, amount/<vector>, strength/<vector>, level/<vector>"
    assert f"use one of {vectors}, guidance, temperature, mute" in str(error.value)


@pytest.mark.parametrize(
    ("target", "lowest", "highest"), [("guidance", 0, 100), ("temperature", 0, 10), ("mute", 0, 1)]
)
def test_a_value_outside_the_limits_of_its_target_is_refused(target, lowest, highest):
    for value in (lowest, highest):
        assert Control(target=target, value=value).value == value
    for value in (lowest - 0.1, highest + 0.1):
        with pytest.raises(TonearmError, match=f"{target} .* is not possible; use 0 to {highest}"):
            validated(Control, {"target": target, "value": value}, where="message")


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), "loud", None])
def test_a_value_that_is_not_a_finite_number_is_refused(target, value):
    with pytest.raises(TonearmError, match="message"):
        validated(Control, {"target": target, "value": value}, where="message")


def test_unknown_keys_are_refused_with_the_known_ones():
    with pytest.raises(TonearmError, match="frame: unknown key; known are target, value"):
        validated(Control, {"target": "mute", "value": 1, "frame": 3}, where="message")
    with pytest.raises(TonearmError, match="value"):
        validated(Control, {"target": "mute"}, where="message")


def test_the_schema_has_the_documented_keys():
    schema = Control.model_json_schema()
    assert list(schema["properties"]) == ["target", "value"]
    assert schema["required"] == ["target", "value"] and not schema["additionalProperties"]
