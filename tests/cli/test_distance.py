"""tonearm distance, on sets of tones and of noise and a CLAP checkpoint with random weights."""

import csv
import io
import json
import re

import numpy as np
import pytest


def test_a_set_is_compared_with_a_reference(run, corpus, clap_folder):
    options = ("distance", corpus / "noise", "--clap", clap_folder)
    near, far = (
        json.loads(run(*options, "--reference", corpus / name, "--json").out)["sets"]
        for name in ("noise", "tone")
    )
    assert [one["name"] for one in near] == ["fad", "kad"]
    assert near[0]["value"] < 1e-9 < far[0]["value"]
    assert near[1]["value"] < far[1]["value"]
    assert far[0]["n"] == far[0]["n_reference"] == 6 and far[0]["reference"] == "tone"


@pytest.mark.parametrize("name", ["fad", "kad"])
def test_one_distance_can_be_requested_by_name(run, corpus, clap_folder, name):
    options = ("--reference", corpus / "tone", "--clap", clap_folder, f"--{name}", "--json")
    found = json.loads(run("distance", corpus / "noise", *options).out)["sets"]
    assert [one["name"] for one in found] == [name]


def test_a_table_and_csv_have_the_numbers_of_the_json(run, corpus, clap_folder):
    options = ("distance", corpus / "noise", "--reference", corpus / "tone", "--clap", clap_folder)
    fad, kad = json.loads(run(*options, "--json").out)["sets"]
    text = " ".join(run(*options).out.split())
    assert f"{fad['value']:.4g}" in text and "n = 6 (noise) against 6 (tone)" in text
    rows = list(csv.DictReader(io.StringIO(run(*options, "--csv").out)))
    assert [(row["file"], row["measure"]) for row in rows] == [("noise", "fad"), ("noise", "kad")]
    assert [float(row["value"]) for row in rows] == [fad["value"], kad["value"]]


def test_given_embeddings_are_compared(run, folder):
    rng = np.random.default_rng(0)
    np.save("a.npy", rng.normal(size=(30, 4)))
    np.savez("b.npz", rng.normal(1, 1, size=(30, 4)))
    outcome = run("distance", "a.npy", "--reference", "b.npz", "--fad", "--extrapolate", "--json")
    (found,) = json.loads(outcome.out)["sets"]
    assert found["value"] == pytest.approx(4, abs=2) and found["extrapolated"] is not None
    assert "given embeddings" in found["protocol"]


def test_the_protocol_of_encodec_states_that_it_is_circular(run, corpus, tiny):
    options = ("--reference", corpus / "noise", "--fad", "--embedding", "encodec", *tiny())
    outcome = run("distance", corpus / "tone", *options, "--json")
    (found,) = json.loads(outcome.out)["sets"]
    assert found["value"] > 0 and "circular" in found["protocol"] and found["width"] == 16


def test_unreadable_files_are_left_out_and_reported(run, corpus, clap_folder):
    (corpus / "noise" / "broken.wav").write_text("")
    options = ("--reference", corpus / "tone", "--clap", clap_folder, "--json")
    outcome = run("distance", corpus / "noise", *options)
    content = json.loads(outcome.out)
    assert outcome.code == 2 and outcome.err.count("\n") == 1
    assert content["sets"][0]["n"] == 6 and len(content["failed"]) == 1


def test_a_reference_with_an_unreadable_file_is_refused(run, corpus, clap_folder):
    (corpus / "tone" / "broken.wav").write_text("")
    options = ("--reference", corpus / "tone", "--clap", clap_folder)
    outcome = run("distance", corpus / "noise", *options)
    assert outcome.code == 2 and "broken.wav" in outcome.err and outcome.out == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sounds"], "--reference"),
        (["sounds", "--reference", "nowhere"], "no folder at nowhere"),
        (["sounds", "--reference", "sounds", "--embedding", "vggish"], "no embedding 'vggish'"),
        (["sounds", "--reference", "sounds", "--kad", "--extrapolate"], "for the Fréchet distance"),
        (["sounds", "--reference", "sounds", "--json", "--csv"], "choose one"),
        (["sounds/tone.flac", "--reference", "sounds"], "two clips or more"),
        (["a.npy", "--reference", "sounds"], "give one .npy or .npz file"),
        (["a.npy", "a.npy", "--reference", "a.npy"], "give one .npy or .npz file"),
        (["nowhere.wav", "--reference", "sounds"], "no file could be embedded"),
    ],
)
def test_mistakes_give_one_line(run, sounds, clap_folder, arguments, message):
    np.save("a.npy", np.zeros((3, 2)))
    outcome = run("distance", *arguments, "--clap", clap_folder)
    assert outcome.code == 2 and outcome.out == ""
    assert outcome.err.startswith("tonearm: ") and outcome.err.count("\n") == 1
    assert re.search(message, outcome.err)
