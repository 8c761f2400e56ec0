"""Manifest of the bundled vectors and of a planted knob."""

import json

import pytest

from tests.knobs.planted import knob_of as planted
from tests.steering.vectors import vector_of
from tonearm import assets
from tonearm.errors import TonearmError
from tonearm.live.build_manifest import knob_of, manifest_of
from tonearm.live.commands import COMMANDS
from tonearm.live.desk import steering_of
from tonearm.live.manifest import Manifest
from tonearm.steering import Control
from tonearm.steering.vector_file import load_vector


@pytest.fixture
def manifest(melody) -> Manifest:
    melody.vectors["brightness"] = planted(melody)
    melody.vectors["raw"] = vector_of(melody, "raw")
    return manifest_of(melody)


def test_a_manifest_is_json_and_back(manifest):
    assert Manifest.model_validate(json.loads(manifest.model_dump_json())) == manifest


def test_only_calibrated_vectors_are_knobs_and_all_are_for_research(manifest):
    assert [knob.name for knob in manifest.knobs] == ["brightness"]
    assert {vector.name for vector in manifest.vectors} == {"brightness", "raw"}
    with pytest.raises(TonearmError, match="no knob 'raw'"):
        manifest.knob("raw")


def test_a_knob_has_its_unit_its_range_and_its_words(manifest):
    knob = manifest.knob("brightness")
    assert (knob.unit, knob.positive.limit, knob.negative.limit) == ("st", 4.0, -4.0)
    assert Control(target=knob.target, value=1.0).vector == "brightness"
    assert len(knob.positive.response) == 11


def test_every_command_has_a_sentence_and_a_schema(manifest):
    assert [one.name for one in manifest.commands] == [
        one.model_fields["name"].default for one in COMMANDS
    ]
    assert all(one.summary.endswith(".") for one in manifest.commands)


def test_the_bundled_knobs_state_range_tick_and_failures():
    found = {}
    for path in sorted(assets.POCKET_VECTORS.glob("*.safetensors")):
        knob = knob_of(path.stem, load_vector(path))
        if knob is not None:
            found[path.stem] = knob
    assert {"tempo", "brightness", "loudness", "drums"} <= set(found)
    for knob in found.values():
        assert knob.negative.limit <= 0 <= knob.positive.limit, knob.name
        for sign in (knob.positive, knob.negative):
            assert sign.word
            assert sign.passes != bool(sign.reason)
            if sign.tick is not None:
                assert 0 < abs(sign.tick) <= abs(sign.limit)
    assert (
        not found["mode"].negative.passes
        and "no significant effect" in found["mode"].negative.reason
    )


def test_the_steering_of_a_desk_has_every_knob(manifest):
    steering = steering_of(manifest.knobs, {"target/brightness": 2.0})
    assert str(steering) == "brightness +2"
    assert str(steering_of(manifest.knobs, {})) == "brightness +0"
