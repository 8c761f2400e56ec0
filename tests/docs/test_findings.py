"""Findings in the prose of the model cards are those of the records and tables."""

import json
import re

from tonearm import assets

POCKET_CARD = assets.EVALUATORS.parent / "pocket" / "README.md"


def test_the_trackers_errors_are_those_of_the_evaluators_card():
    shares = json.loads(assets.EVALUATORS_CARD.read_text())["beats"]["pieces"]
    bundled, librosa = (shares[name]["decoded"] for name in ("bundled Beat This!", "librosa"))
    strict, any_octave = (librosa[f"accuracy_{number}"]["value"] for number in (1, 2))
    assert (
        f"the bundled tracker reads the tempo right in {100 * bundled['accuracy_1']['value']:.0f} %; "
        f"librosa reads it right in {100 * strict:.0f} %, "
        f"and in another octave in {100 * (any_octave - strict):.0f} %"
    ) in POCKET_CARD.read_text()


def test_the_octave_errors_of_librosa_are_those_of_the_table():
    text = POCKET_CARD.read_text()
    any_octave = re.search(r'"N bpm" in the prompt .*any octave, librosa \| (\d+ %)', text)
    strict = re.search(r"the same, strict, librosa \| (\d+ %)", text)
    assert any_octave and strict
    assert f"librosa reads {strict[1]} strictly and {any_octave[1]} in any octave." in text
