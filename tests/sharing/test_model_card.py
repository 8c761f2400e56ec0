"""Model cards: metadata that the hub reads, and a table that is true and cannot be broken."""

import shlex

import pytest
from huggingface_hub import ModelCard

from tests.steering.vectors import random_vector
from tonearm.sharing.model_card import Card, base_models_of, card_text, licences_of
from tonearm.steering import (
    Calibration,
    Configuration,
    Evidence,
    Response,
    ResponsePoint,
    SignCalibration,
)

MELODY = "facebook/musicgen-melody"
EVIDENCE = Evidence(
    measure="onset_rate", plain=2.6, steered=3.9, effect=0.5, low=0.31, high=0.69,
    faulty_plain=0.16, faulty_steered=0.1, pulse_ratio=1.07, text_loss=0.03, prompts=50,
)  # fmt: skip


def tempo(**info):
    how = Configuration(operator="rotate", strategy="all-to-all")
    passing = SignCalibration(strength=0.05, configuration=how, evidence=EVIDENCE)
    failing = SignCalibration(failure="no significant effect")
    fields = {"name": "tempo", "checkpoint": MELODY, "positive_label": "fast", **info}
    calibration = Calibration(positive=passing, negative=failing)
    return random_vector(negative_label="slow", calibration=calibration, **fields)


def card(**more) -> Card:
    vector = tempo()
    fields = {
        "repository": "me/knobs",
        "files": {"tempo.safetensors": {"tempo": vector}, "pack.safetensors": {"a": vector}},
        "bundles": frozenset({"pack.safetensors"}),
        "base_models": [MELODY],
        "licence": "cc-by-nc-4.0",
        "tag": "v1",
    }
    return Card(**{**fields, **more})


def test_the_metadata_are_those_of_an_adapter():
    data = ModelCard(card_text(card())).data.to_dict()
    assert data == {
        "license": "cc-by-nc-4.0",
        "base_model": [MELODY],
        "base_model_relation": "adapter",
        "library_name": "tonearm",
        "pipeline_tag": "text-to-audio",
        "tags": ["activation-steering", "steering-vectors", "music-generation", "tonearm"],
    }


def test_a_checkpoint_that_is_on_no_hub_is_named_in_the_text_alone():
    vector = random_vector(checkpoint="pocket")
    text = card_text(
        card(files={"v.safetensors": {"v": vector}}, base_models=[], licence="apache-2.0")
    )
    assert not {"base_model", "base_model_relation"} & ModelCard(text).data.to_dict().keys()
    assert "Steering vectors for pocket (fingerprint `ffffffffffffffff`)" in text


def test_the_table_has_range_evidence_and_verdict_of_every_sign():
    rows = [line for line in card_text(card()).splitlines() if line.startswith("| `")]
    assert rows == [
        "| `tempo.safetensors=+1` | fast | 0 to +1 (raw:+0.05, rotate, all-to-all) | "
        "onset_rate +50% [+31%, +69%] | 10% (16% plain) | 50 | passes |",
        "| `tempo.safetensors=-1` | slow |  |  |  |  | fails: no significant effect |",
        "| `pack.safetensors#a=+1` | fast | 0 to +1 (raw:+0.05, rotate, all-to-all) | "
        "onset_rate +50% [+31%, +69%] | 10% (16% plain) | 50 | passes |",
        "| `pack.safetensors#a=-1` | slow |  |  |  |  | fails: no significant effect |",
    ]
    points = [ResponsePoint(amount=i / 10, effect=i / 5, low=0, high=0) for i in range(11)]
    response = Response(measure="onset_rate", unit="onsets", plain=2.6, points=points, prompts=50)
    measured = SignCalibration(strength=0.05, response=response)
    calibration = Calibration(positive=measured, negative=measured)
    knob = random_vector(calibration=calibration)
    text = card_text(card(files={"v.safetensors": {"v": knob}}))
    assert "| onset_rate by up to +2.00 onsets: 0 to +1 (raw:+0.05, add, one-to-all) |" in text
    bare = card_text(card(files={"v.safetensors": {"v": random_vector()}}))
    assert "| `v.safetensors=+1` | more |  |  |  |  | not calibrated |" in bare


def test_it_states_the_licence_of_the_weights_the_hashes_and_the_tag():
    text = card_text(card())
    assert f"{MELODY}: CC-BY-NC-4.0" in text and "licensed separately" in text
    assert f"`{tempo().content_hash()[:12]}`" in text
    assert "\ntonearm vectors pull me/knobs@v1\n" in text
    assert "\ntonearm vectors pull me/knobs\n" in card_text(card(tag=None))


def test_its_commands_steer_by_a_sign_that_passes():
    def steered(vector, name="v.safetensors", **more):
        text = card_text(card(files={name: {"v": vector}}, **more))
        (line,) = [one for one in text.splitlines() if one.startswith("tonearm generate")]
        return shlex.split(line)[-1]

    assert steered(tempo()) == "v.safetensors=+1"
    calibration = tempo().info.calibration
    swapped = Calibration(positive=calibration.negative, negative=calibration.positive)
    assert steered(random_vector(calibration=swapped)) == "v.safetensors=-1"
    assert steered(random_vector()) == "v.safetensors=raw:1"
    odd = "my $(x) 'v'.safetensors"
    assert steered(random_vector(), odd, bundles=frozenset({odd})) == f"{odd}#v=raw:1"


@pytest.mark.parametrize("label", ["a|b", "a\nb", "<script>x</script>", "\x1b[2J", "| |\n---"])
def test_a_label_cannot_break_the_table(label):
    vector = tempo(positive_label=label)
    text = card_text(card(files={"v.safetensors": {"v": vector}}))
    rows = [line for line in text.splitlines() if line.startswith("| `v")]
    assert len(rows) == 2 and all(row.replace("\\|", "").count("|") == 8 for row in rows)
    assert "<script" not in text and "\x1b" not in text


def test_checkpoints_and_licences_of_vectors():
    vectors = [random_vector(checkpoint=name) for name in (MELODY, "pocket", MELODY, "mine")]
    assert base_models_of(vectors) == [MELODY]
    assert licences_of(vectors) == ["cc-by-nc-4.0", "apache-2.0"]
