"""tonearm classifier and tonearm cluster, on folders of tones and of noise."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from tests.measures.sounds import noise, tone
from tonearm.audio import Clip


def test_a_classifier_is_trained_from_folders_and_predicts_files(run, corpus, clap_folder):
    options = ("--clap", clap_folder)
    trained = run("classifier", "kind", corpus / "noise", corpus / "tone", *options)
    assert trained.code == 0
    assert "100 % held out" in trained.out and "kind.safetensors" in trained.out
    assert max(map(len, trained.out.splitlines())) <= 80
    assert "100 % held out" in run("inspect", "kind.safetensors").out
    shown = json.loads(run("inspect", "kind.safetensors", "--json").out)
    assert shown["labels"] == ["noise", "tone"]
    tone(333, 0.5).write(Path("new") / "tone.wav")
    noise(0.5, seed=77).write(Path("new") / "noise.wav")
    options = ("measure", "new", "--classifier", "kind.safetensors", "--clap", clap_folder)
    files = json.loads(run(*options, "--json").out)["files"]
    found = {Path(entry["file"]).stem: entry["scores"]["classifier kind"] for entry in files}
    assert {name: one["value"] for name, one in found.items()} == {"noise": "noise", "tone": "tone"}
    assert "held-out accuracy 100 %" in found["noise"]["protocol"]
    assert "classifier kind" in run(*options).out


def test_a_classifier_replaces_a_file_only_by_force(run, corpus, clap_folder):
    options = ("classifier", "kind", corpus, "--clap", clap_folder)
    assert run(*options).code == 0
    refused = run(*options)
    assert refused.code == 2 and "exists already" in refused.err
    again = json.loads(run(*options, "--force", "--json").out)
    assert again["labels"] == ["noise", "tone"] and again["counts"] == {"noise": 6, "tone": 6}


def test_clusters_are_compared_with_the_labels(run, corpus, clap_folder):
    content = json.loads(run("cluster", corpus, "--clap", clap_folder, "--json").out)
    assert content["ari"] == 1 and content["jaccard"] == [[1, 0], [0, 1]]
    table = run("cluster", corpus, "--clap", clap_folder).out
    assert "adjusted Rand index" in table and "1.000" in table


def test_unreadable_and_silent_files_of_a_corpus_are_left_out_and_reported(
    run, corpus, clap_folder
):
    (corpus / "noise" / "broken.wav").write_text("")
    Clip(np.zeros(4000), 8000).write(corpus / "tone" / "silent.wav")
    outcome = run("cluster", corpus, "--clap", clap_folder, "--json")
    content = json.loads(outcome.out)
    assert outcome.code == 2
    assert content["n"] == 12
    assert [(one["reason"], one["count"]) for one in content["skipped"]] == [
        ("unreadable", 1),
        ("silent", 1),
    ]
    assert outcome.err.count("\n") == 2 and "left out 1 unreadable (cannot read" in outcome.err


def test_documented_defects_of_a_corpus_are_reported_without_an_error(run, corpus, clap_folder):
    for kind in ("noise", "tone"):
        for i in range(6):
            (corpus / kind / f"{i}.wav").rename(corpus / kind / f"{kind}.{i:05d}.wav")
    (corpus / "tone" / "tone.00054.wav").write_text("")
    outcome = run("cluster", corpus, "--clap", clap_folder, "--json")
    assert outcome.code == 0 and json.loads(outcome.out)["n"] == 12
    assert "left out 1 unreadable" in outcome.err and outcome.err.count("\n") == 1


def test_a_column_of_the_metadata_is_the_label(run, corpus, clap_folder):
    rows = [f"{kind}/{i}.wav,{kind},{i % 2}" for kind in ("noise", "tone") for i in range(6)]
    (corpus / "metadata.csv").write_text("\n".join(["file_name,kind,part", *rows]))
    options = ("--label", "kind", "--where", "part=1", "--clap", clap_folder, "--json")
    content = json.loads(run("cluster", corpus, *options).out)
    assert content["labels"] == ["noise", "tone"] and content["n"] == 6
    trained = json.loads(run("classifier", "kind", corpus, *options).out)
    assert trained["counts"] == {"noise": 3, "tone": 3}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["classifier", "x", "sounds"], "two labels or more|alone"),
        (["classifier", "x", "nowhere"], "no folder at nowhere"),
        (["cluster", "nowhere"], "no folder at nowhere"),
        (["cluster", "corpus", "--embedding", "vggish"], "no embedding 'vggish'"),
        (["cluster", "corpus", "--label", "key"], "no column 'key'; its columns are label"),
        (["cluster", "corpus", "--where", "key=1"], "no column 'key'; its columns are label"),
        (["cluster", "corpus", "--where", "label"], "no COLUMN=VALUE"),
        (["cluster", "corpus", "--where", "label=a", "--where", "label=b"], "'label' twice"),
        (["cluster", "corpus", "--layout", "gtzan"], "has not the layout gtzan"),
        (["classifier", "x", "corpus", "--layout", "mp3"], "no layout 'mp3'; use one of"),
    ],
)
def test_mistakes_give_one_line(run, corpus, clap_folder, arguments, message):
    outcome = run(*arguments, "--clap", clap_folder)
    assert outcome.code == 2 and outcome.out == ""
    assert outcome.err.startswith("tonearm: ") and outcome.err.count("\n") == 1
    assert re.search(message, outcome.err)
