"""Findings in the prose of the model cards are those of the records and tables."""

import json
import re
from pathlib import Path

import pytest

from tonearm import assets
from tonearm.studies.effects_report import Results, analyse, write_readme
from tonearm.studies.effects_trials import RECORDS, STRENGTH, read_records

ROOT = Path(__file__).parents[2]
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


@pytest.fixture(scope="module")
def results() -> Results:
    return analyse(list(read_records(ROOT / "docs" / "studies" / RECORDS)), STRENGTH)


def test_the_tables_of_the_readme_are_those_of_the_records(results, tmp_path):
    written = (ROOT / "README.md").read_text()
    copy = tmp_path / "README.md"
    copy.write_text(written)
    write_readme(copy, results)
    assert copy.read_text() == written


def test_the_random_directions_of_the_readme_are_those_of_the_records(results):
    text = (ROOT / "README.md").read_text()
    found = {(s.attribute, s.size, s.sign, s.measure): s for s in results.spreads}
    contrasts = {
        measure: found[attribute, 0.1, "±", measure]
        for attribute, measure in (
            ("tempo", "onset_rate"),
            ("tempo", "bundled_tempo"),
            ("tempo", "tempo"),
            ("brightness", "spectral_centroid"),
        )
    }
    assert all(len(one.directions) == 10 for one in contrasts.values())
    assert "none of ten random directions moves onsets, the bundled tracker's BPM or the" in text
    far = {measure: one.exceedance for measure, one in contrasts.items()}
    assert far == {"onset_rate": 0, "bundled_tempo": 0, "tempo": 1, "spectral_centroid": 0}
    assert "and one of ten moves librosa's BPM as far; at +0.1 alone, two of ten add" in text
    assert found["tempo", 0.1, "+", "onset_rate"].exceedance == 2
    costs = [found["tempo", 0.1, sign, "clap_score"] for sign in "+-"]
    assert "the tempo vector lowers it less than random directions do on average" in text
    assert all(one.mean < one.vector.change < 0 for one in costs)
