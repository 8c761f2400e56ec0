"""tonearm measure, on sounds with known values and a CLAP checkpoint with random weights."""

import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest

from tests.measures.sounds import clicks, noise
from tonearm.audio import Clip
from tonearm.evaluators import basic_pitch, clap, load
from tonearm.evaluators.base import Note


def rows_of(text: str) -> dict[tuple[str, str], dict[str, str]]:
    return {
        (Path(row["file"]).name, row["measure"]): row for row in csv.DictReader(io.StringIO(text))
    }


def test_one_file_is_printed_in_full(run, sounds):
    outcome = run("measure", sounds / "clicks.wav")
    assert outcome.code == 0 and outcome.err == ""
    printed = " ".join(outcome.out.split())
    assert (
        "120.0 BPM (median 120.0), 19 beats by librosa" in printed and "regularity 1.00" in printed
    )
    assert max(map(len, outcome.out.splitlines())) <= 80


def test_several_files_make_a_table_of_80_columns(run, sounds):
    outcome = run("measure", sounds)
    lines = outcome.out.splitlines()
    assert outcome.code == 0
    assert [line.split()[0] for line in lines[3:6]] == ["clicks.wav", "noise.wav", "tone.flac"]
    assert "120.0" in lines[3]
    assert max(map(len, lines)) <= 80


def test_json_has_every_number_with_its_protocol(run, sounds):
    content = json.loads(run("measure", sounds, "--json").out)
    assert [Path(entry["file"]).name for entry in content["files"]] == [
        "clicks.wav",
        "noise.wav",
        "tone.flac",
    ]
    assert content["files"][0]["tempo"]["value"] == pytest.approx(120, rel=0.01)
    assert content["files"][2]["spectral_centroid"]["value"] == pytest.approx(440, rel=0.02)
    assert content["failed"] == []


def test_csv_has_a_row_for_each_number(run, sounds):
    rows = rows_of(run("measure", sounds, "--csv").out)
    assert float(rows["clicks.wav", "tempo"]["value"]) == pytest.approx(120, rel=0.01)
    assert rows["tone.flac", "spectral_rolloff"]["unit"] == "Hz"
    assert rows["noise.wav", "loudness_range"]["value"] == ""  # 3 s are too short
    assert all(
        row["protocol"]
        for (_, measure), row in rows.items()
        if measure not in ("seconds", "faulty", "faults")
    )


def test_unreadable_files_are_reported_and_the_others_measured(run, sounds):
    (sounds / "text.wav").write_text("not audio")
    Clip(np.full(1000, np.nan), 8000).write(sounds / "nan.wav")
    whole = (sounds / "clicks.wav").read_bytes()
    (sounds / "truncated.wav").write_bytes(whole[: len(whole) // 2])
    (sounds / "truncated.flac").write_bytes((sounds / "tone.flac").read_bytes()[:500])
    outcome = run("measure", sounds, sounds / "absent.wav", "--json")
    content = json.loads(outcome.out)
    assert outcome.code == 2
    assert len(content["files"]) == 3
    failed = {Path(entry["file"]).name: entry["error"] for entry in content["failed"]}
    assert set(failed) == {"text.wav", "nan.wav", "truncated.wav", "truncated.flac", "absent.wav"}
    assert "cut off" in failed["truncated.wav"] and "NaN" in failed["nan.wav"]
    assert outcome.err.count("\n") == 5 and all(
        line.startswith("tonearm: ") for line in outcome.err.splitlines()
    )


@pytest.mark.parametrize("form", ["--json", "--csv", None])
def test_short_silent_and_stereo_files_are_measured(run, folder, form):
    Clip(np.zeros(8000), 8000).write(folder / "odd" / "silence.wav")
    noise(0.1).write(folder / "odd" / "scrap.wav")
    Clip(np.ones(1), 8000).write(folder / "odd" / "sample.wav")
    Clip(clicks(120).samples.repeat(2, 0), 16_000).write(folder / "odd" / "stereo.wav")
    clicks(120, sample_rate=8_000).write(folder / "odd" / "8-khz.wav")
    outcome = run("measure", folder / "odd", *([form] if form else []))
    assert outcome.code == 0 and outcome.err == ""
    if form == "--json":
        found = {Path(entry["file"]).stem: entry for entry in json.loads(outcome.out)["files"]}
        assert (
            found["silence"]["faults"] == ["silent"] and found["silence"]["tempo"]["value"] is None
        )
        assert found["scrap"]["tempo"]["value"] is None and found["scrap"]["peak"]["value"] < 0
        assert (
            found["stereo"]["tempo"]["value"]
            == found["8-khz"]["tempo"]["value"]
            == pytest.approx(120, rel=0.01)
        )
        assert found["stereo"]["channels"] == 2


def test_clap_scores_labels_and_a_text(run, sounds, clap_folder):
    options = ("--clap", clap_folder, "--labels", "jazz, rock", "--text", "a fast sound")
    content = json.loads(run("measure", sounds, *options, "--json").out)
    for entry in content["files"]:
        zero_shot, score = entry["scores"]["zero_shot"], entry["scores"]["clap_score"]
        assert sum(zero_shot["probabilities"].values()) == pytest.approx(1)
        assert "CLAP tiny" in zero_shot["protocol"] and "jazz, rock" in zero_shot["protocol"]
        assert -1 <= score["value"] <= 1 and "'a fast sound'" in score["protocol"]
    table = run("measure", sounds, *options).out
    first = content["files"][0]["scores"]["zero_shot"]
    assert f"{first['probabilities']['jazz']:.2f}  {first['probabilities']['rock']:.2f}" in table
    assert max(map(len, table.splitlines())) <= 80
    rows = rows_of(run("measure", sounds, *options, "--csv").out)
    row = rows["clicks.wav", "zero_shot probability: jazz"]
    assert float(row["value"]) == first["probabilities"]["jazz"]


def test_tags_are_in_every_form_of_output(run, sounds):
    content = json.loads(run("measure", sounds, "--tags", "--json").out)
    found = {Path(entry["file"]).name: entry["scores"]["tags"] for entry in content["files"]}
    probabilities = found["clicks.wav"]["probabilities"]
    assert len(probabilities) == 50 and probabilities["guitar"] > 0.15 > probabilities["opera"]
    assert "musicnn" in found["clicks.wav"]["protocol"]
    assert "MagnaTagATune" in found["clicks.wav"]["protocol"]
    rows = rows_of(run("measure", sounds, "--tags", "--csv").out)
    assert float(rows["clicks.wav", "tags probability: guitar"]["value"]) == probabilities["guitar"]
    one = " ".join(run("measure", sounds / "clicks.wav", "--tags").out.split())
    assert f"guitar {probabilities['guitar']:.2f}" in one and "opera" not in one
    table = run("measure", sounds, "--tags").out
    assert found["tone.flac"]["value"] in table
    assert max(map(len, table.splitlines())) <= 80


def test_a_clip_without_a_window_has_no_tags(run, folder):
    noise(2.0).write(folder / "short" / "a.wav")
    noise(2.5).write(folder / "short" / "b.wav")
    for entry in json.loads(run("measure", "short", "--tags", "--json").out)["files"]:
        assert entry["scores"]["tags"]["value"] is entry["scores"]["tags"]["probabilities"] is None
    assert run("measure", "short", "--tags").code == 0
    assert "tags" in run("measure", "short/a.wav", "--tags").out


def test_notes_are_in_every_form_of_output(run, sounds, monkeypatch):
    class Fixed:
        name, settings = "a transcriber", "fixed notes"

        def transcribe(self, clip):
            return [Note(0, 1, 60), Note(0.5, 1, 64)]

    monkeypatch.setattr(load, "load_transcriber", Fixed)
    content = json.loads(run("measure", sounds, "--notes", "--json").out)
    found = {Path(entry["file"]).name: entry for entry in content["files"]}
    assert found["noise.wav"]["note_rate"]["value"] == pytest.approx(2 / 3)
    assert found["noise.wav"]["note_rate"]["protocol"] == "notes by a transcriber, fixed notes"
    rows = rows_of(run("measure", sounds, "--notes", "--csv").out)
    assert float(rows["noise.wav", "polyphony"]["value"]) == pytest.approx(1.5)
    one = " ".join(run("measure", sounds / "noise.wav", "--notes").out.split())
    assert "0.67 per second, 1.5 at a time, mean pitch 61.3 (MIDI), in 33% of the time" in one
    table = run("measure", sounds, "--notes").out
    assert re.search(r"noise.wav +0.67 +1.5 +61.3 +0.33", table)
    assert max(map(len, table.splitlines())) <= 80


def test_notes_without_the_package_are_refused_in_one_line(run, sounds, monkeypatch):
    monkeypatch.setattr(basic_pitch, "PACKAGE", "no_such_package")
    outcome = run("measure", sounds, "--notes")
    assert outcome.code == 2 and outcome.out == "" and outcome.err.count("\n") == 1
    assert "pip install --no-deps basic-pitch" in outcome.err


def test_a_table_gives_each_file_its_text(run, sounds, clap_folder):
    captions = {
        "clicks.wav": "a fast sound",
        "noise.wav": "a jazz sound, slow",
        "tone.flac": "flute",
    }
    with (sounds / "texts.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file_name", "text"), *captions.items()])
    rows = [
        json.dumps({"file_name": f"sounds/{name}", "text": text}) for name, text in captions.items()
    ]
    Path("texts.jsonl").write_text("\n".join(rows))
    options = ("measure", sounds, "--clap", clap_folder)
    by_csv = json.loads(run(*options, "--texts", sounds / "texts.csv", "--json").out)["files"]
    assert by_csv == json.loads(run(*options, "--texts", "texts.jsonl", "--json").out)["files"]
    for entry in by_csv:
        name, found = Path(entry["file"]).name, entry["scores"]["clap_score"]
        alone = json.loads(
            run(*options[:1], entry["file"], *options[2:], "--text", captions[name], "--json").out
        )["files"][0]
        assert found == alone["scores"]["clap_score"] and found["text"] == captions[name]
    table = run(*options, "--texts", "texts.jsonl").out
    assert all(text in table for text in captions.values()) and "a text for each" in table
    assert max(map(len, table.splitlines())) <= 80


def test_takes_are_scored_with_their_prompts(run, sounds, tiny, clap_folder):
    for name, prompt in (("a", "a fast jazz tune"), ("b", "a slow rock tune")):
        made = run(
            "generate",
            prompt,
            "--seconds",
            "0.5",
            "--seed",
            1,
            "--output",
            f"takes/{name}.wav",
            *tiny(),
        )
        assert made.code == 0, made.err
    outcome = run("measure", "takes", "--prompts", "--clap", clap_folder, "--json")
    found = [entry["scores"]["clap_score"] for entry in json.loads(outcome.out)["files"]]
    assert [score["text"] for score in found] == ["a fast jazz tune", "a slow rock tune"]
    sectioned = ["--seconds", "5", "--section", "2.5s=a slow rock tune", "--output", "takes/c.wav"]
    assert run("generate", "a fast jazz tune", *sectioned, *tiny()).code == 0
    outcome = run("measure", "takes", "--prompts", "--clap", clap_folder, "--json")
    *before, score = [entry["scores"]["clap_score"] for entry in json.loads(outcome.out)["files"]]
    assert before == found
    assert score["text"] == "a fast jazz tune | a slow rock tune"
    first, second = score["sections"]
    assert (first["start"], first["end"], second["end"]) == (0.0, second["start"], 5.0)
    expected = (first["value"] + second["value"]) / 2
    assert score["value"] == pytest.approx(expected, abs=1e-3)
    table = run("measure", "takes", "--prompts", "--clap", clap_folder).out
    assert "a fast jazz tune | a slow rock tune" in " ".join(table.split())
    assert "mean by length over the sections" in " ".join(table.split())
    refused = run("measure", "takes", sounds, "--prompts", "--clap", clap_folder)
    assert (
        refused.code == 2
        and "clicks.wav is no take" in refused.err
        and refused.err.count("\n") == 1
    )


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("file_name,text\nclicks.wav,fast\n", "no text for .*noise.wav and 1 more"),
        ("file_name,text\nclicks.wav,\n", "row 1 .* lacks file_name or text"),
        ("file,text\nclicks.wav,fast\n", "row 1 .* lacks file_name or text"),
        (
            "file_name,text\nclicks.wav,fast\n./clicks.wav,slow\n",
            "row 2 .* names ./clicks.wav again",
        ),
    ],
)
def test_a_table_of_texts_has_one_for_each_file(run, sounds, clap_folder, rows, message):
    (sounds / "texts.csv").write_text(rows)
    outcome = run("measure", sounds, "--texts", sounds / "texts.csv", "--clap", clap_folder)
    assert outcome.code == 2 and outcome.out == "" and outcome.err.count("\n") == 1
    assert re.search(message, outcome.err)


def test_many_labels_fit_80_columns(run, sounds, clap_folder):
    outcome = run(
        "measure", sounds, "--clap", clap_folder, "--labels", "jazz,rock,folk,flute,piano,fast,slow"
    )
    assert outcome.code == 0
    assert max(map(len, outcome.out.splitlines())) <= 80


def test_the_bundled_evaluators_are_named_in_protocols(
    run, sounds, clap_folder, monkeypatch, tmp_path
):
    monkeypatch.setattr(clap, "bundled_clap_folder", lambda: clap_folder)
    assert "zero-shot by bundled CLAP" in run("measure", sounds, "--labels", "jazz,rock").out
    monkeypatch.setattr(clap, "bundled_clap_folder", lambda: tmp_path / "absent")
    monkeypatch.setattr(load, "bundled_tracker_file", lambda: tmp_path / "absent")
    assert "has no bundled CLAP" in run("measure", sounds, "--labels", "jazz,rock").err
    assert "has no bundled beat tracker" in run("measure", sounds, "--beats", "bundled").err


def test_ctrl_c_keeps_the_measured_files(run, sounds, monkeypatch):
    from tonearm.measures import batch

    real, calls = batch.describe, []

    def stop_at_the_third(clip, tracker):
        calls.append(clip)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(clip, tracker)

    monkeypatch.setattr(batch, "describe", stop_at_the_third)
    outcome = run("measure", sounds)
    assert outcome.code == 130
    assert "clicks.wav" in outcome.out and "noise.wav" in outcome.out
    assert "tone.flac" not in outcome.out
    assert "measured 2 of 3 files" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sounds", "--json", "--csv"], "choose one"),
        (["sounds", "--template", "a {}"], "give --labels"),
        (["sounds", "--labels", "jazz"], "two or more"),
        (["sounds", "--labels", "jazz,zydeco"], "no word of 'zydeco'"),
        (["sounds", "--labels", "jazz,rock", "--template", "a sound"], "no place for the label"),
        (["sounds", "--text", " "], "empty text"),
        (["sounds", "--text", "fast", "--prompts"], "choose one"),
        (["sounds", "--texts", "nowhere.csv"], "no file at nowhere.csv"),
        (["sounds", "--texts", "sounds/tone.flac"], "cannot read sounds/tone.flac"),
        (["sounds", "--classifier", "nowhere.safetensors"], "no classifier at nowhere.safetensors"),
        (["sounds", "--classifier", "energy.safetensors"], "is not a classifier"),
        (["sounds", "--beats", "nowhere.ckpt"], "no Beat This! checkpoint"),
        (
            ["sounds", "--beats", "bundled", "--device", "abacus"],
            "device 'abacus' is not available",
        ),
        (["empty"], "no audio in empty"),
    ],
)
def test_mistakes_give_one_line_before_anything_is_measured(
    run, sounds, clap_folder, arguments, message
):
    Path("empty").mkdir()
    outcome = run("measure", *arguments, "--clap", clap_folder)
    assert outcome.code == 2 and outcome.out == ""
    assert outcome.err.startswith("tonearm: ") and outcome.err.count("\n") == 1
    assert re.search(message, outcome.err)
