"""tonearm study and report: runs in folders, and mistakes in one line."""

import json

import numpy as np
import pytest

from tonearm.audio import Clip
from tonearm.studies.store import Store, StoredTrial, Values
from tonearm.studies.stored_audio import StoredAudio


@pytest.fixture
def stored(folder):
    """A run of two trials, of which one is measured."""
    with Store(folder / "runs" / "mine") as store:
        store.set_study("facchiano2025", {"model": "pocket", "design": "smoke"}, {"g": "1"})
        audio = StoredAudio.of(Clip(np.zeros(100), 16_000))
        for key in ("a", "b"):
            store.add_take(key, {}, audio, None)
        trials = [StoredTrial(key, ("g",), {}, {"condition": key}) for key in ("a", "b")]
        store.set_stage("facchiano2025", "plain", trials)
        store.add_values([Values("a", "g", "1", {}, {"tempo": {"value": 90.0}})])
    return folder / "runs" / "mine"


def test_runs_are_listed_and_shown_with_how_far_they_are(run, stored):
    listed = run("study", "list")
    assert listed.code == 0 and "runs/mine" in listed.out and "smoke" in listed.out
    (one,) = json.loads(run("study", "list", "--json").out)["runs"]
    assert one["stage plain"] == "1 of 2" and one["takes"] == 2
    shown = run("study", "show", "runs/mine")
    assert "1 of 2" in shown.out and "pocket" in shown.out
    assert "no runs in elsewhere" in run("study", "list", "elsewhere").out


def test_records_are_exported(run, stored, folder):
    outcome = run("study", "export", "runs/mine", "--out", "r.csv")
    assert outcome.code == 0 and "wrote 1 records to r.csv" in outcome.out
    assert (folder / "r.csv").read_text().splitlines()[1].endswith("90.0")
    assert run("study", "export", "runs/mine", "--out", "r.csv").code == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["facchiano"], "no study 'facchiano'; give facchiano2025, or one of list, show, export"),
        (["facchiano2025", "there"], "takes its folder as --out there"),
        (["facchiano2025", "--out", "runs/mine"], "holds a run already; continue it with --resume"),
        (["show"], "needs the folder of a run"),
        (["show", "elsewhere"], "elsewhere holds no study"),
        (["export", "runs/mine"], "needs --out FILE"),
        (["export", "runs/mine", "--out", "r.txt"], "ends in .csv or .parquet"),
    ],
)
def test_mistakes_are_one_line(run, stored, arguments, message):
    outcome = run("study", *arguments)
    assert outcome.code == 2 and message in outcome.err and outcome.err.count("\n") == 1


def test_a_report_of_a_run_that_is_not_complete_is_refused(run, stored):
    outcome = run("report", "runs/mine")
    assert outcome.code == 2 and "stage plain has 1 of 2 takes" in outcome.err
