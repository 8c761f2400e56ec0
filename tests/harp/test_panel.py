"""The panel of a model: its controls from the manifest, and the request that values express."""

import json

import pytest

from tests.harp.values import values_of
from tonearm.errors import TonearmError
from tonearm.harp.panel import Panel, slider_of
from tonearm.live import manifest_of
from tonearm.live.manifest import Knob, SignView


def test_the_answer_has_card_inputs_and_outputs(panel):
    described = panel.to_dict()
    assert set(described) == {"card", "inputs", "outputs"}
    assert set(described["card"]) == {"name", "description", "author", "tags"}
    assert [one["type"] for one in described["inputs"]] == [
        "audio_track", "dropdown", "text_box", "slider", "slider", "slider", "slider", "text_box",
        "toggle",
    ]  # fmt: skip
    assert [one["type"] for one in described["outputs"]] == ["audio_track", "json"]
    assert all(isinstance(one["info"], str) for one in described["inputs"])
    assert json.loads(json.dumps(described, allow_nan=False)) == described


def test_knobs_are_sliders_with_the_limits_of_the_manifest(panel):
    slider = panel.controls["target/brightness"].to_dict()
    assert (slider["label"], slider["minimum"], slider["maximum"]) == ("brightness (st)", -4, 4)
    assert (slider["step"], slider["value"]) == (0.1, 0)
    assert panel.controls["guidance"].to_dict()["maximum"] == 10


def test_a_failed_sign_closes_its_side_and_shows_why():
    fine = SignView(word="bright", passes=True, limit=4.2, tick=2.0, hollow=True)
    failed = SignView(word="dark", passes=False, reason="no significant effect")
    knob = Knob(
        name="brightness", target="target/brightness", unit="st", decimals=1,
        measure="spectral_centroid", positive=fine, negative=failed,
    )  # fmt: skip
    slider = slider_of(knob)
    assert (slider.minimum, slider.maximum) == (0, 4.2)
    assert "dark: not possible (no significant effect)" in slider.info
    assert "bright: up to +4.2 st, quality tick at +2 st (uncertain)" in slider.info


def test_a_model_without_melodies_only_continues(small):
    panel = Panel(manifest_of(small))
    assert "use" not in panel.controls
    assert not panel.read(values_of(panel)).keeps_melody


def test_values_become_a_request(panel):
    request = panel.read(
        values_of(panel, use="keep its melody", brightness=2.0000001, measured=True)
    )
    assert request.keeps_melody and request.is_measured
    assert (request.prompt, request.seconds, request.seed) == ("a folk tune", 1.0, 3)
    assert request.values["target/brightness"] == 2.0
    assert set(request.values) == {"target/brightness", "guidance", "temperature"}
    assert panel.read(values_of(panel, seed=" ")).seed is None


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"prompt": "  "}, "Prompt is empty"),
        ({"prompt": "x" * 1001}, "Prompt: 1001 characters are too many"),
        ({"seconds": 61}, "Seconds: 61 is not possible; use 0 to 60"),
        ({"seed": "-1"}, "Seed: '-1' is not possible; use 0 to 2147483647"),
        ({"seed": "2147483648"}, "Seed: '2147483648' is not possible"),
        ({"seed": "²"}, "Seed: '²' is not possible"),
        ({"brightness": 5}, "brightness (st): 5 is not possible; use -4 to 4"),
        ({"use": "loop it"}, "use continue it or keep its melody"),
    ],
)
def test_mistakes_are_one_line(panel, changed, message):
    with pytest.raises(TonearmError) as caught:
        panel.read(values_of(panel, **changed))
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_knobs_are_named_and_few(panel):
    assert [knob.name for knob in Panel(panel.manifest, ["brightness"]).knobs] == ["brightness"]
    with pytest.raises(TonearmError, match="there is no knob 'gone'"):
        Panel(panel.manifest, ["gone"])
    with pytest.raises(TonearmError, match="9 knobs are too many; name at most 8"):
        Panel(panel.manifest, [f"k{number}" for number in range(9)])
