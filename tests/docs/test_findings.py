"""Findings in the prose of the model cards are those of the records and tables."""

import json
import re
from pathlib import Path

import pytest

from tonearm import assets
from tonearm.steering import SteeringVector, load_vector
from tonearm.steering.library import bundled_vectors
from tonearm.studies.effects_analysis import analyse
from tonearm.studies.effects_page import RECORDS
from tonearm.studies.effects_readme import write_readme
from tonearm.studies.effects_run import vectors_fingerprint
from tonearm.studies.records import Record, read_records

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


# of the study of effects; those that were bundled later have the tables of docs/knobs.md
STUDIED = (
    "acoustic", "brightness", "cello", "classical", "density", "electronic", "energy", "flute",
    "jazz", "loudness", "mode", "tempo",
)  # fmt: skip


@pytest.fixture(scope="module")
def vectors() -> dict[str, SteeringVector]:
    files = bundled_vectors()
    return {name: load_vector(files[name]) for name in STUDIED}


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return list(read_records(ROOT / "docs" / "studies" / RECORDS))


def test_the_study_used_the_bundled_vectors_and_their_amounts(records, vectors):
    assert {record["vectors"] for record in records} == {vectors_fingerprint(vectors)}


def test_the_tables_and_statements_of_the_readme_are_those_of_the_records(
    records, vectors, tmp_path
):
    written = (ROOT / "README.md").read_text()
    copy = tmp_path / "README.md"
    copy.write_text(written)
    write_readme(copy, analyse(records, vectors))
    assert copy.read_text() == written
