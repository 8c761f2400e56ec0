"""Controls: their description for HARP, and the values that it sends back."""

import json

import numpy as np
import pytest

from tonearm.errors import TonearmError
from tonearm.harp.controls import Dropdown, Slider, TextBox, Toggle, Track

SLIDER = Slider.of_range("brightness (st)", "", -10.276875, 5.925556, 0.1)


def test_descriptions_have_the_keys_that_harp_reads():
    track = Track("Selection", "Audio.").to_dict()
    assert track == {
        "type": "audio_track", "label": "Selection", "info": "Audio.", "required": False,
    }  # fmt: skip
    assert SLIDER.to_dict() == {
        "type": "slider", "label": "brightness (st)", "info": "", "minimum": -10.2, "maximum": 5.9,
        "step": 0.1, "value": 0.0,
    }  # fmt: skip
    box = TextBox("Prompt", "Words.", "a tune", 9).to_dict()
    assert box == {"type": "text_box", "label": "Prompt", "info": "Words.", "value": "a tune"}
    toggle = Toggle("Measure", "").to_dict()
    assert toggle == {"type": "toggle", "label": "Measure", "info": "", "value": False}


def test_a_choice_is_its_own_value():
    described = Dropdown("Use", "", ("continue", "keep")).to_dict()
    assert described["choices"] == [["continue", "continue"], ["keep", "keep"]]
    assert (described["type"], described["value"]) == ("dropdown", "continue")


@pytest.mark.parametrize(
    ("low", "high", "step", "expected"),
    [
        (-24.489813, 56.301597, 1.0, (-24.0, 56.0, 1.0)),
        (0.0, 0.412274, 0.01, (0.0, 0.41, 0.01)),
        (-0.124333, 0.409, 0.1, (-0.12, 0.4, 0.01)),
        (-0.027164, 0.0, 0.001, (-0.027, 0.0, 0.001)),
        (1.0, 10.0, 0.1, (1.0, 10.0, 0.1)),
        (-4.0, 4.0, 0.1, (-4.0, 4.0, 0.1)),
        (0.0, 1e-6, 1.0, (0.0, 1e-6, 1e-7)),
    ],
)
def test_a_range_ends_at_multiples_of_its_step(low, high, step, expected):
    slider = Slider.of_range("x", "", low, high, step)
    assert (slider.minimum, slider.maximum, slider.step) == pytest.approx(expected, rel=1e-12)


def test_every_value_of_a_32_bit_slider_is_a_multiple_of_the_step_and_zero_is_exact():
    low, step = np.float32(SLIDER.minimum), np.float32(SLIDER.step)
    count = round((SLIDER.maximum - SLIDER.minimum) / SLIDER.step)
    for index in range(count + 1):
        sent = float(low) + index * float(step)
        assert SLIDER.read(sent) == round(-10.2 + 0.1 * index, 1)
    nearly_zero = float(low) + 102 * float(step)
    assert nearly_zero != 0 and SLIDER.read(nearly_zero) == 0
    assert json.dumps(SLIDER.read(-0.0)) == "0.0"
    assert SLIDER.read(float(np.float32(5.9))) == 5.9


@pytest.mark.parametrize(
    ("control", "value", "message"),
    [
        (SLIDER, 6, "brightness (st): 6 is not possible; use -10.2 to 5.9"),
        (SLIDER, float("nan"), "brightness (st): nan is not possible"),
        (SLIDER, float("inf"), "brightness (st): inf is not possible"),
        (SLIDER, "3", "brightness (st): '3' is not a number"),
        (SLIDER, True, "brightness (st): True is not a number"),
        (SLIDER, None, "brightness (st): None is not a number"),
        (TextBox("Seed", "", "", 5), 7, "Seed: 7 is not a text"),
        (TextBox("Seed", "", "", 5), "123456", "Seed: 6 characters are too many; use at most 5"),
        (Toggle("Measure", ""), 1, "Measure: 1 is not possible; use true or false"),
        (Dropdown("Use", "", ("a", "b")), "c", "Use: 'c' is not possible; use a or b"),
        (Dropdown("Use", "", ("a", "b")), ["a"], "Use: ['a'] is not possible; use a or b"),
    ],
)
def test_mistakes_are_one_line(control, value, message):
    with pytest.raises(TonearmError) as caught:
        control.read(value)
    assert message in str(caught.value) and "\n" not in str(caught.value)
