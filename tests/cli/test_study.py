"""tonearm study and report: runs in folders, and mistakes in one line."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from tonearm.audio import Clip
from tonearm.studies.published import STUDIES, PublishedStudy
from tonearm.studies.store import Store, StoredTrial, Values
from tonearm.studies.stored_audio import StoredAudio

NAMES = ", ".join(STUDIES)


@pytest.fixture
def stored(folder):
    """A run of two trials, of which one is measured."""
    with Store(folder / "runs" / "mine") as store:
        details = {"model": "pocket", "design": "smoke", "vectors": ["a long list"]}
        store.set_study("facchiano2025", details, {"g": "1"})
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
    assert "a long list" not in shown.out
    (found,) = json.loads(run("study", "show", "runs/mine", "--json").out)["studies"].values()
    assert found["vectors"] == ["a long list"]
    assert "no runs in elsewhere" in run("study", "list", "elsewhere").out


def test_records_are_exported(run, stored, folder):
    outcome = run("study", "export", "runs/mine", "--out", "r.csv")
    assert outcome.code == 0 and "wrote 1 records to r.csv" in outcome.out
    assert (folder / "r.csv").read_text().splitlines()[1].endswith("90.0")
    assert run("study", "export", "runs/mine", "--out", "r.csv").code == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["facchiano"], f"no study 'facchiano'; give {NAMES}, or one of list, show, export"),
        (["facchiano2025", "there"], "takes its folder as --out there"),
        (["facchiano2025", "--out", "runs/mine"], "holds a run already; continue it with --resume"),
        (["facchiano2025", "--genres", "runs"], "facchiano2025 takes no --genres; leave it out"),
        (["list", "--genres", "runs"], "list takes no --genres; leave it out"),
        (["methods2026", "--sae", "none.safetensors"], "no file at none.safetensors; --sae takes"),
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


def test_the_help_names_every_study(run):
    shown = " ".join(run("study", "--help").out.split())
    assert all(name in shown for name in STUDIES)


@pytest.fixture
def planted(monkeypatch):
    """A registered study that takes a corpus and stores nothing; the calls of its functions."""
    calls = []

    def run_study(model, folder, design, settings, progress, genres=None):
        calls.append((design, settings.workers, genres))
        with Store(folder) as store:
            store.set_study("planted", {"design": design}, {})
        return folder / "report.html"

    def estimate(model, design, genres=None):
        calls.append((design, genres))
        return {"takes": 7, "probed": 1, "takes_per_hour": 14.0, "hours": 0.5, "gigabytes": 0.1}

    def report(folder, page):
        calls.append((str(folder), page))
        return folder / "report.html"

    functions = {"run_study": run_study, "estimate": estimate, "report": report}
    for module, content in (("design", {"SMOKE": "a few", "WHOLE": "all"}), ("study", functions)):
        name = f"tonearm.studies.planted.{module}"
        monkeypatch.setitem(sys.modules, name, SimpleNamespace(**content))
    monkeypatch.setitem(STUDIES, "planted", PublishedStudy("planted", "of nothing", ("genres",)))
    monkeypatch.setattr("tonearm.cli.study.load_model", lambda *_: None)
    return calls


def test_a_registered_study_is_run_estimated_and_reported(run, folder, planted):
    genres = folder / "corpus"
    genres.mkdir()
    outcome = run("study", "planted", "--smoke", "--genres", genres, "--workers", 0)
    assert outcome.code == 0 and "open runs/planted/report.html" in outcome.out
    assert "holds a run already" in run("study", "planted").err
    assert run("study", "planted", "--resume").code == 0
    outcome = run("study", "planted", "--dry-run", "--out", "other", "--genres", genres)
    assert outcome.code == 0 and "about 7" in outcome.out and not (folder / "other").exists()
    assert "open runs/planted/report.html" in run("report", "runs/planted").out
    assert planted == [
        ("a few", 0, genres),
        ("all", 1, None),
        ("all", genres),
        ("runs/planted", None),
    ]


def test_a_corpus_that_is_no_folder_is_refused_before_anything_is_made(run, folder, planted):
    outcome = run("study", "planted", "--genres", "nowhere")
    assert outcome.code == 2 and planted == [] and not (folder / "runs").exists()
    assert "no folder at nowhere; --genres takes a labelled corpus" in outcome.err


def test_a_study_does_not_replace_the_report_of_another(run, stored, planted):
    outcome = run("study", "planted", "--resume", "--out", "runs/mine")
    assert outcome.code == 2 and planted == [] and outcome.err.count("\n") == 1
    assert "runs/mine holds a run of facchiano2025, whose report would be replaced" in outcome.err


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "runs/other holds no study yet; a report is drawn of a run of facchiano2025"),
        (["mine"], "runs/other holds 'mine'; a report is drawn of a run of facchiano2025"),
        (["facchiano2025", "planted"], "holds facchiano2025 and planted, whose reports would"),
    ],
)
def test_a_report_needs_one_published_study(run, folder, planted, names, message):
    with Store(folder / "runs" / "other") as store:
        for name in names:
            store.set_study(name, {}, {})
    outcome = run("report", "runs/other")
    assert outcome.code == 2 and message in outcome.err and outcome.err.count("\n") == 1
    assert planted == []


def test_a_report_is_that_of_the_published_study_of_a_store_with_others(run, folder, planted):
    with Store(folder / "runs" / "other") as store:
        for name in ("effects", "planted"):
            store.set_study(name, {}, {})
    assert run("report", "runs/other").code == 0 and planted == [("runs/other", None)]
