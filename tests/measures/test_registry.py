"""Registry of measures: adding one is one definition and one registration."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

from tests.measures.sounds import tone
from tonearm.errors import TonearmError
from tonearm.measures import ClipAnalysis, Measure, base, describe, measures, register


def estimate_zero_crossings(analysis: ClipAnalysis) -> float | None:
    if not analysis.is_sounding:
        return None
    return float((np.diff(np.sign(analysis.mono)) != 0).sum()) / analysis.clip.seconds


ZERO_CROSSINGS = Measure("zero_crossings", "1/s", "sign changes per s", estimate_zero_crossings)


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Measure:
    """A toy measure, registered for one test."""
    monkeypatch.setattr(base, "_registry", dict(base._registry))
    return register(ZERO_CROSSINGS)


def test_a_registered_measure_is_part_of_a_description(registered: Measure) -> None:
    description = describe(tone(100))
    assert description["zero_crossings"].value == pytest.approx(200, abs=2)
    assert description.to_dict()["zero_crossings"] == description["zero_crossings"].to_dict()


def test_a_registered_measure_is_part_of_every_output_of_the_command(
    registered: Measure, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tonearm.cli import main

    tone(100).write(tmp_path / "tone.wav")
    assert main(["measure", str(tmp_path / "tone.wav"), "--csv"]) == 0
    rows = {row["measure"]: row for row in csv.DictReader(io.StringIO(capsys.readouterr().out))}
    assert float(rows["zero_crossings"]["value"]) == pytest.approx(200, abs=2)
    assert (rows["zero_crossings"]["unit"], rows["zero_crossings"]["protocol"]) == (
        "1/s",
        "sign changes per s",
    )
    assert main(["measure", str(tmp_path / "tone.wav"), "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)["files"]
    assert entry["zero_crossings"]["value"] == float(rows["zero_crossings"]["value"])


def test_a_name_is_registered_once(registered: Measure) -> None:
    with pytest.raises(TonearmError, match="zero_crossings is registered already"):
        register(ZERO_CROSSINGS)
    assert [one.name for one in measures()].count("zero_crossings") == 1


def test_a_measure_is_evaluated_once_per_analysis() -> None:
    calls = []
    measure = Measure("calls", "", "counted", lambda analysis: calls.append(1) or 1.0)
    analysis = ClipAnalysis(tone(100))
    assert measure.measurements(analysis) == measure.measurements(analysis)
    assert len(calls) == 1
