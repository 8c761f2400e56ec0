"""tonearm measure, on sounds whose numbers are known and a judge whose weights are random."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

from tests.evaluators import tiny_clap
from tests.measures.sounds import clicks, noise, tone
from tonearm.audio import Clip
from tonearm.evaluators import clap, load


@pytest.fixture(scope="session")
def tiny_judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_clap.save_tiny(tmp_path_factory.mktemp("judges") / "tiny")


@pytest.fixture
def sounds(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """sounds/ with a click track at 120 BPM, a tone and noise, and a cache of its own."""
    monkeypatch.setenv("TONEARM_CACHE", str(folder / "cache"))
    clicks(120).write(folder / "sounds" / "clicks.wav")
    tone(440, 3).write(folder / "sounds" / "tone.flac")
    noise(3).write(folder / "sounds" / "noise.wav")
    return folder / "sounds"


@pytest.fixture
def corpus(sounds: Path) -> Path:
    """corpus/noise and corpus/tone, six files each."""
    for i in range(6):
        noise(0.5, seed=i).write(sounds.parent / "corpus" / "noise" / f"{i}.wav")
        tone(330 + 4 * i, 0.5).write(sounds.parent / "corpus" / "tone" / f"{i}.wav")
    return sounds.parent / "corpus"


def rows_of(text: str) -> dict[tuple[str, str], dict[str, str]]:
    return {(Path(row["file"]).name, row["measure"]): row for row in csv.DictReader(io.StringIO(text))}


def test_one_file_is_told_in_full(run, sounds):
    outcome = run("measure", sounds / "clicks.wav")
    assert outcome.code == 0 and outcome.err == ""
    told = " ".join(outcome.out.split())
    assert "120.0 BPM (median 119.0), 20 beats by librosa" in told and "steadiness 1.00" in told
    assert max(map(len, outcome.out.splitlines())) <= 80


def test_several_files_make_a_table_of_80_columns(run, sounds):
    outcome = run("measure", sounds)
    lines = outcome.out.splitlines()
    assert outcome.code == 0
    assert [line.split()[0] for line in lines[3:6]] == ["clicks.wav", "noise.wav", "tone.flac"]
    assert "120.0" in lines[3]
    assert max(map(len, lines)) <= 80


def test_json_tells_every_number_with_its_protocol(run, sounds):
    content = json.loads(run("measure", sounds, "--json").out)
    assert [Path(entry["file"]).name for entry in content["files"]] == ["clicks.wav", "noise.wav", "tone.flac"]
    assert content["files"][0]["tempo"]["value"] == pytest.approx(120, rel=0.01)
    assert content["files"][2]["brightness"]["value"] == pytest.approx(440, rel=0.02)
    assert content["failed"] == content["sets"] == []


def test_csv_has_a_row_for_each_number(run, sounds):
    rows = rows_of(run("measure", sounds, "--csv").out)
    assert float(rows["clicks.wav", "tempo"]["value"]) == pytest.approx(120, rel=0.01)
    assert rows["tone.flac", "rolloff"]["unit"] == "Hz"
    assert rows["noise.wav", "loudness_range"]["value"] == ""  # 3 s are too short
    assert all(row["protocol"] for (_, measure), row in rows.items() if measure not in ("seconds", "faults"))


def test_bad_files_are_told_and_the_others_measured(run, sounds):
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
    assert outcome.err.count("\n") == 5 and all(line.startswith("tonearm: ") for line in outcome.err.splitlines())


@pytest.mark.parametrize("form", ["--json", "--csv", None])
def test_odd_files_are_measured_as_far_as_can_be(run, folder, form):
    Clip(np.zeros(8000), 8000).write(folder / "odd" / "silence.wav")
    noise(0.1).write(folder / "odd" / "scrap.wav")
    Clip(np.ones(1), 8000).write(folder / "odd" / "sample.wav")
    Clip(clicks(120).samples.repeat(2, 0), 16_000).write(folder / "odd" / "stereo.wav")
    clicks(120, sample_rate=8_000).write(folder / "odd" / "8-khz.wav")
    outcome = run("measure", folder / "odd", *([form] if form else []))
    assert outcome.code == 0 and outcome.err == ""
    if form == "--json":
        found = {Path(entry["file"]).stem: entry for entry in json.loads(outcome.out)["files"]}
        assert found["silence"]["faults"] == ["silent"] and found["silence"]["tempo"]["value"] is None
        assert found["scrap"]["tempo"]["value"] is None and found["scrap"]["peak"]["value"] < 0
        assert found["stereo"]["tempo"]["value"] == found["8-khz"]["tempo"]["value"] == pytest.approx(120, rel=0.01)
        assert found["stereo"]["channels"] == 2


def test_a_judge_scores_labels_and_a_text(run, sounds, tiny_judge):
    asked = ("--clap", tiny_judge, "--labels", "jazz, rock", "--text", "a fast sound")
    content = json.loads(run("measure", sounds, *asked, "--json").out)
    for entry in content["files"]:
        zero_shot, agreement = entry["scores"]["zero_shot"], entry["scores"]["text_agreement"]
        assert sum(zero_shot["probabilities"].values()) == pytest.approx(1)
        assert "CLAP tiny" in zero_shot["protocol"] and "jazz, rock" in zero_shot["protocol"]
        assert -1 <= agreement["value"] <= 1 and "'a fast sound'" in agreement["protocol"]
    table = run("measure", sounds, *asked).out
    first = content["files"][0]["scores"]["zero_shot"]
    assert f"{first['probabilities']['jazz']:.2f}  {first['probabilities']['rock']:.2f}" in table
    assert max(map(len, table.splitlines())) <= 80
    assert first["probabilities"]["jazz"] == float(rows_of(run("measure", sounds, *asked, "--csv").out)["clicks.wav", "zero_shot probability: jazz"]["value"])  # fmt: skip


def test_each_file_has_a_text_of_its_own_from_a_table(run, sounds, tiny_judge):
    said = {"clicks.wav": "a fast sound", "noise.wav": "a jazz sound, slow", "tone.flac": "flute"}
    with (sounds / "texts.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file_name", "text"), *said.items()])
    rows = [json.dumps({"file_name": f"sounds/{name}", "text": text}) for name, text in said.items()]
    Path("texts.jsonl").write_text("\n".join(rows))
    asked = ("measure", sounds, "--clap", tiny_judge)
    by_csv = json.loads(run(*asked, "--texts", sounds / "texts.csv", "--json").out)["files"]
    assert by_csv == json.loads(run(*asked, "--texts", "texts.jsonl", "--json").out)["files"]
    for entry in by_csv:
        name, found = Path(entry["file"]).name, entry["scores"]["text_agreement"]
        alone = json.loads(run(*asked[:1], entry["file"], *asked[2:], "--text", said[name], "--json").out)["files"][0]
        assert found == alone["scores"]["text_agreement"] and found["text"] == said[name]
    table = run(*asked, "--texts", "texts.jsonl").out
    assert all(text in table for text in said.values()) and "a text for each" in table
    assert max(map(len, table.splitlines())) <= 80


def test_takes_are_compared_with_the_prompts_they_were_made_from(run, sounds, tiny, tiny_judge):
    for name, prompt in (("a", "a fast jazz tune"), ("b", "a slow rock tune")):
        made = run("generate", prompt, "--seconds", "0.5", "--seed", 1, "--output", f"takes/{name}.wav", *tiny())
        assert made.code == 0, made.err
    outcome = run("measure", "takes", "--prompts", "--clap", tiny_judge, "--json")
    found = [entry["scores"]["text_agreement"] for entry in json.loads(outcome.out)["files"]]
    assert [score["text"] for score in found] == ["a fast jazz tune", "a slow rock tune"]
    refused = run("measure", "takes", sounds, "--prompts", "--clap", tiny_judge)
    assert refused.code == 2 and "clicks.wav is no take" in refused.err and refused.err.count("\n") == 1


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("file_name,text\nclicks.wav,fast\n", "no text for .*noise.wav and 1 more"),
        ("file_name,text\nclicks.wav,\n", "row 1 .* lacks file_name or text"),
        ("file,text\nclicks.wav,fast\n", "row 1 .* lacks file_name or text"),
        ("file_name,text\nclicks.wav,fast\n./clicks.wav,slow\n", "row 2 .* names ./clicks.wav again"),
    ],
)
def test_a_table_of_texts_has_one_for_each_file(run, sounds, tiny_judge, rows, said):
    import re

    (sounds / "texts.csv").write_text(rows)
    outcome = run("measure", sounds, "--texts", sounds / "texts.csv", "--clap", tiny_judge)
    assert outcome.code == 2 and outcome.out == "" and outcome.err.count("\n") == 1
    assert re.search(said, outcome.err)


def test_many_labels_still_fit(run, sounds, tiny_judge):
    outcome = run("measure", sounds, "--clap", tiny_judge, "--labels", "jazz,rock,folk,flute,piano,fast,slow")
    assert outcome.code == 0
    assert max(map(len, outcome.out.splitlines())) <= 80


def test_a_classifier_is_trained_from_folders_and_then_a_measure_like_any_other(run, corpus, tiny_judge):
    trained = run("measure", corpus / "noise", corpus / "tone", "--train-classifier", "kind", "--clap", tiny_judge)
    assert trained.code == 0 and "100 % held out" in trained.out and "kind.safetensors" in trained.out
    assert max(map(len, trained.out.splitlines())) <= 80
    assert "100 % held out" in run("inspect", "kind.safetensors").out
    assert json.loads(run("inspect", "kind.safetensors", "--json").out)["labels"] == ["noise", "tone"]
    refused = run("measure", corpus, "--train-classifier", "kind", "--clap", tiny_judge)
    assert refused.code == 2 and "is there already" in refused.err
    again = json.loads(
        run("measure", corpus, "--train-classifier", "kind", "--clap", tiny_judge, "--force", "--json").out
    )
    assert again["labels"] == ["noise", "tone"] and again["counts"] == {"noise": 6, "tone": 6}
    tone(333, 0.5).write(Path("new") / "tone.wav")
    noise(0.5, seed=77).write(Path("new") / "noise.wav")
    asked = ("measure", "new", "--classifier", "kind.safetensors", "--clap", tiny_judge)
    content = json.loads(run(*asked, "--json").out)
    told = {Path(entry["file"]).stem: entry["scores"]["classifier kind"] for entry in content["files"]}
    assert {name: verdict["value"] for name, verdict in told.items()} == {"noise": "noise", "tone": "tone"}
    assert "held-out accuracy 100 %" in told["noise"]["protocol"]
    assert "classifier kind" in run(*asked).out


def test_clusters_are_compared_with_the_labels(run, corpus, tiny_judge):
    content = json.loads(run("measure", corpus, "--clusters", "--clap", tiny_judge, "--json").out)
    assert content["ari"] == 1 and content["jaccard"] == [[1, 0], [0, 1]]
    table = run("measure", corpus, "--clusters", "--clap", tiny_judge).out
    assert "adjusted Rand index" in table and "1.000" in table


def test_bad_files_of_a_corpus_are_left_out_and_told(run, corpus, tiny_judge):
    (corpus / "noise" / "broken.wav").write_text("")
    Clip(np.zeros(4000), 8000).write(corpus / "tone" / "silent.wav")
    outcome = run("measure", corpus, "--clusters", "--clap", tiny_judge, "--json")
    assert outcome.code == 2
    assert json.loads(outcome.out)["n"] == 12 and len(json.loads(outcome.out)["failed"]) == 2
    assert outcome.err.count("\n") == 2


def test_a_set_is_compared_with_a_reference(run, corpus, tiny_judge):
    asked = ("measure", corpus / "noise", "--clap", tiny_judge)
    near, far = (
        json.loads(run(*asked, "--reference", corpus / name, "--json").out)["sets"] for name in ("noise", "tone")
    )
    assert [one["name"] for one in near] == ["frechet", "kernel"]
    assert near[0]["value"] < 1e-9 < far[0]["value"]
    assert near[1]["value"] < far[1]["value"]
    assert far[0]["n"] == far[0]["n_reference"] == 6 and far[0]["reference"] == "tone"
    assert [one["name"] for one in json.loads(run(*asked, "--reference", corpus / "tone", "--kernel", "--json").out)["sets"]] == ["kernel"]  # fmt: skip
    text = run(*asked, "--reference", corpus / "tone").out
    assert "Fréchet distance" in text and "n = 6 (noise) against 6 (tone)" in " ".join(text.split())
    assert ("noise", "frechet") in rows_of(run(*asked, "--reference", corpus / "tone", "--csv").out)


def test_given_embeddings_are_compared_too(run, folder):
    rng = np.random.default_rng(0)
    np.save("a.npy", rng.normal(size=(30, 4)))
    np.savez("b.npz", rng.normal(1, 1, size=(30, 4)))
    outcome = run("measure", "a.npy", "--reference", "b.npz", "--frechet", "--extrapolate", "--json")
    (found,) = json.loads(outcome.out)["sets"]
    assert found["value"] == pytest.approx(4, abs=2) and found["extrapolated"] is not None
    assert "given embeddings" in found["protocol"]


def test_encodec_is_called_circular(run, corpus, tiny):
    outcome = run(
        "measure",
        corpus / "tone",
        "--reference",
        corpus / "noise",
        "--frechet",
        "--embedding",
        "encodec",
        *tiny(),
        "--json",
    )
    (found,) = json.loads(outcome.out)["sets"]
    assert found["value"] > 0 and "circular" in found["protocol"] and found["width"] == 16


def test_the_embedded_ears_are_named_wherever_their_numbers_are(run, sounds, tiny_judge, monkeypatch, tmp_path):
    monkeypatch.setattr(clap, "bundled_clap_folder", lambda: tiny_judge)
    assert "zero-shot by embedded judge" in run("measure", sounds, "--labels", "jazz,rock").out
    monkeypatch.setattr(clap, "bundled_clap_folder", lambda: tmp_path / "absent")
    monkeypatch.setattr(load, "bundled_tracker_file", lambda: tmp_path / "absent")
    assert "carries no embedded judge" in run("measure", sounds, "--labels", "jazz,rock").err
    assert "carries no embedded beat tracker" in run("measure", sounds, "--beats", "embedded").err


def test_ctrl_c_keeps_what_is_measured(run, sounds, monkeypatch):
    import tonearm.measures

    real, asked = tonearm.measures.describe, []

    def stop_at_the_third(clip, tracker):
        asked.append(clip)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return real(clip, tracker)

    monkeypatch.setattr(tonearm.measures, "describe", stop_at_the_third)
    outcome = run("measure", sounds)
    assert outcome.code == 130
    assert "clicks.wav" in outcome.out and "noise.wav" in outcome.out and "tone.flac" not in outcome.out
    assert "measured 2 of 3 files" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sounds", "--json", "--csv"], "choose one"),
        (["sounds", "--frechet"], "give --reference"),
        (["sounds", "--template", "a {}"], "give --labels"),
        (["sounds", "--embedding", "vggish", "--reference", "sounds"], "no embedding 'vggish'"),
        (["sounds", "--reference", "sounds", "--kernel", "--extrapolate"], "--extrapolate is for the Fréchet distance"),
        (["sounds", "--reference", "nowhere"], "no folder at nowhere"),
        (["sounds", "--labels", "jazz"], "two or more"),
        (["sounds", "--labels", "jazz,zydeco"], "knows no word of 'zydeco'"),
        (["sounds", "--labels", "jazz,rock", "--template", "a sound"], "no place for the label"),
        (["sounds", "--text", " "], "empty text"),
        (["sounds", "--text", "fast", "--prompts"], "choose one"),
        (["sounds", "--texts", "nowhere.csv"], "no file at nowhere.csv"),
        (["sounds", "--texts", "sounds/tone.flac"], "cannot read sounds/tone.flac"),
        (["sounds", "--clusters", "--prompts"], "leave out --prompts"),
        (["sounds", "--classifier", "nowhere.safetensors"], "no classifier at nowhere.safetensors"),
        (["sounds", "--classifier", "energy.safetensors"], "is not a classifier"),
        (["sounds", "--train-classifier", "x", "--clusters"], "stand alone"),
        (["sounds", "--train-classifier", "x", "--labels", "jazz,rock"], "leave out --labels"),
        (["sounds", "--train-classifier", "x"], "two labels or more|alone"),
        (["nowhere", "--clusters"], "no folder at nowhere"),
        (["sounds", "--beats", "nowhere.ckpt"], "no Beat This! checkpoint"),
        (["sounds", "--beats", "embedded", "--device", "abacus"], "device 'abacus' is not there"),
        (["a.npy"], "give one .npy or .npz file, and --reference"),
        (["empty"], "no audio in empty"),
    ],
)
def test_mistakes_are_told_in_one_line_before_anything_is_measured(run, sounds, tiny_judge, arguments, said):
    import re

    np.save("a.npy", np.zeros((3, 2)))
    Path("empty").mkdir()
    outcome = run("measure", *arguments, "--clap", tiny_judge)
    assert outcome.code == 2 and outcome.out == ""
    assert outcome.err.startswith("tonearm: ") and outcome.err.count("\n") == 1
    assert re.search(said, outcome.err)


def test_a_set_of_one_is_measured_and_its_distance_refused(run, corpus, tiny_judge):
    outcome = run("measure", corpus / "tone" / "0.wav", "--reference", corpus / "tone", "--clap", tiny_judge)
    assert outcome.code == 2 and "0.wav" in outcome.out and "two clips or more" in outcome.err
