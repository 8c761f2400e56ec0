"""tonearm learn --audio and tonearm probe."""

import json

import numpy as np
import pytest

from tests.activations.sounds import noise_clip
from tonearm.activations import ActivationStore
from tonearm.audio import Clip
from tonearm.steering import load_vector

SEGMENT = ("--segment", 0.4)


@pytest.fixture
def music(folder):
    """music/{folk,jazz,rock}, two files of two segments each, and a folder of neutral audio."""
    for number, label in enumerate(("folk", "jazz", "rock")):
        for index in range(2):
            noise_clip(0.9, 10 * number + index).write(folder / "music" / label / f"{index}.wav")
    noise_clip(0.9, 99).write(folder / "neutral" / "a.wav")
    return folder / "music"


@pytest.fixture
def learn(run, tiny, music):
    return lambda *more, name="cool": run("learn", name, *SEGMENT, *tiny(), *more)


def test_a_label_is_learned_against_the_rest(learn, play, folder):
    outcome = learn("--audio", "music", "--label", "jazz")
    assert outcome.code == 0, outcome.err
    assert "4 positive, 8 negative segments of 0.4 s, without a text" in outcome.out
    assert "diffmean, last at residual" in outcome.out
    info = load_vector(folder / "cool.safetensors").info
    assert (info.positive_label, info.negative_label) == ("jazz", "the rest")
    steered = play("--steer", "cool=0.2@blend")
    assert steered.code == 0 and "cool raw +0.2 (jazz): blend" in steered.out


def test_a_label_is_learned_against_another_with_text_site_and_labels(learn, folder):
    outcome = learn(
        *("--audio", "music", "--label", "jazz", "--against", "rock", "--site", "attention"),
        *("--pooling", "at:0.2,0.4", "--text", "a fast tune", "--negative-label", "loud", "--json"),
    )
    assert outcome.code == 0, outcome.err
    content = json.loads(outcome.out)
    assert (content["positive_label"], content["negative_label"]) == ("jazz", "loud")
    assert (content["source"], content["text"], content["site"]) == (
        "audio",
        "a fast tune",
        "attention",
    )
    assert (content["positive_count"], content["negative_count"]) == (4, 4)
    assert content["pooling"] == "at:0.2,0.4" and content["segment_seconds"] == 0.4


def test_own_clips_are_learned_against_neutral_audio(learn, run, folder):
    outcome = learn("--audio", "music/jazz", "--against-audio", "neutral")
    assert outcome.code == 0, outcome.err
    info = load_vector(folder / "cool.safetensors").info
    assert (info.positive_label, info.negative_label) == ("more", "less")
    assert (info.positive_count, info.negative_count) == (4, 2)
    shown = run("inspect", "cool.safetensors").out
    assert "4 positive, 2 negative segments of 0.4 s" in shown and "without a text" in shown


def test_a_store_is_kept(learn, folder):
    arguments = ("--audio", "music", "--label", "jazz", "--store", "kept", "--force")
    assert learn(*arguments).code == 0
    written = (folder / "kept" / "shard-00000.safetensors").stat().st_mtime_ns
    assert learn(*arguments).code == 0
    assert (folder / "kept" / "shard-00000.safetensors").stat().st_mtime_ns == written


def test_an_interrupted_capture_states_that_it_continues(learn, folder, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("tonearm.activations.corpus.capture_segments", stop)
    outcome = learn("--audio", "music", "--label", "jazz", "--store", "kept")
    assert outcome.code == 130
    assert "kept is kept, and the same command continues" in outcome.err
    assert not (folder / "cool.safetensors").exists()


def test_audio_that_is_left_out_is_a_warning(learn, folder):
    Clip(np.zeros(1600), 1600).write(folder / "music" / "jazz" / "quiet.wav")
    outcome = learn("--audio", "music", "--label", "jazz")
    assert outcome.code == 0
    assert outcome.err == (
        "tonearm: warning: left out 2 silent (jazz/quiet.wav from 0 s is silent to the model: "
        "mixed to mono and without a constant offset its peak is under -100 dBFS; give audio with "
        "a peak of at least -54 dBFS)\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--audio", "music", "--label", "jazz", "--positive", "fast.txt"], "--positive belongs to prompts"),
        (["--audio", "music", "--label", "jazz", "--seed", "0"], "--seed belongs to prompts"),
        (["--audio", "music", "--label", "jazz", "--paired"], "--paired belongs to prompts"),
        (["--audio", "music"], "give --label, the label of music"),
        (["--audio", "music", "--label", "pop"], "no audio has the label 'pop'; there are 'folk', 'jazz', 'rock'"),
        (["--audio", "music", "--label", "jazz", "--against", "pop"], "no audio has the label 'pop'"),
        (["--audio", "music", "--label", "jazz", "--against", "jazz"], "against itself"),
        (["--audio", "music", "--label", "jazz", "--against-audio", "neutral"], "--against-audio is the whole"),
        (["--audio", "nowhere", "--label", "jazz"], "no folder at nowhere"),
        (["--audio", "music/jazz", "--label", "jazz"], "has the label"),
        (["--audio", "music", "--label", "jazz", "--where", "mood"], "is no COLUMN=VALUE"),
        (["--audio", "music", "--label", "jazz", "--layout", "roof"], "roof"),
        (["--audio", "music/jazz", "--against-audio", "neutral", "--layout", "gtzan"], "--layout belongs to a labelled corpus"),
        (["--audio", "empty", "--label", "jazz"], "no audio in empty"),
        (["--audio", "music/jazz", "--against-audio", "empty"], "no audio in empty"),
        (["--audio", "music/jazz", "--against-audio", "silent"], "no audio of the negative set"),
        (["--audio", "music/jazz", "--against-audio", "damaged"], "b.wav holds NaN"),
        (["--audio", "music/jazz", "--against-audio", "short"], "a segment 0.4 s"),
        (["--audio", "music/jazz", "--against-audio", "music"], "track jazz/0.wav is in both sets"),
        (["--audio", "one-track", "--label", "jazz"], "track piece is in both sets"),
        (["--audio", "music", "--label", "jazz", "--pooling", "eos"], "use last, first, mean"),
        (["--audio", "music", "--label", "jazz", "--site", "cross_attention"], "no site 'cross_attention'"),
        (["--audio", "music", "--label", "jazz", "--segment", "31"], "segments of 31 s"),
        (["--audio", "music", "--label", "jazz", "--method", "magic"], "method 'magic'"),
        (["--audio", "music", "--label", "jazz", "--batch-size", "0"], "batch size 0"),
        (["--audio", "music", "--label", "jazz", "--store", "music"], "music is not empty"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(learn, folder, arguments, message):
    (folder / "empty").mkdir()
    Clip(np.zeros(1600), 1600).write(folder / "silent" / "a.wav")
    Clip(np.full(1600, np.nan), 1600).write(folder / "damaged" / "b.wav")
    noise_clip(0.1).write(folder / "short" / "c.wav")
    for label, seed in (("jazz", 1), ("rock", 2)):
        noise_clip(0.5, seed).write(folder / "one-track" / f"{label}.wav")
    (folder / "one-track" / "metadata.csv").write_text(
        "file_name,label,track\njazz.wav,jazz,piece\nrock.wav,rock,piece\n"
    )
    before = set(folder.rglob("*"))
    outcome = learn(*arguments)
    assert outcome.code == 2 and outcome.out == ""
    lines = outcome.err.splitlines()
    assert all(line.startswith("tonearm: ") for line in lines)
    assert any(part in lines[-1] for part in message.split("|"))
    assert all(line.startswith("tonearm: warning: left out") for line in lines[:-1])
    assert set(folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            [],
            "give --positive FILE, and --negative FILE unless the concept has no opposite, or --au",
        ),
        (["--negative", "slow.txt"], "give --positive FILE, and --negative FILE unless"),
        (["--label", "jazz"], "--label belongs to audio; give --audio FOLDER, or omit --label"),
        (["--positive", "fast.txt", "--negative", "slow.txt", "--text", "a"], "--text belongs to"),
    ],
)
def test_options_of_audio_need_audio(run, tiny, folder, arguments, message):
    outcome = run("learn", "cool", *tiny(), *arguments)
    assert outcome.code == 2 and outcome.out == "" and outcome.err.count("\n") == 1
    assert message in outcome.err


def test_probe_writes_a_table_a_figure_and_vectors(run, tiny, music, folder):
    arguments = ("probe", "music", "--out", "probes", "--site", "residual", "--site", "heads")
    arguments = (*arguments, "--method", "diffmean")
    outcome = run(*arguments, *SEGMENT, *tiny())
    assert outcome.code == 0, outcome.err
    assert "folk 4 (2), jazz 4 (2), rock 4 (2)" in outcome.out
    assert outcome.out.splitlines()[-1].startswith("wrote probes/probe.json, probes/scores.png")
    content = json.loads((folder / "probes" / "probe.json").read_text())
    assert set(content["scores"]["separation"]) == {"residual", "heads"}
    vector = load_vector(folder / "probes" / content["vectors"]["heads"]["jazz"])
    assert (vector.info.site, vector.info.negative_label) == ("heads", "the rest")
    assert len(ActivationStore.read(folder / "probes" / "activations").segments) == 12
    assert run(*arguments, *SEGMENT, *tiny()).err.endswith("overwrite it with --force\n")
    again = run(*arguments, *SEGMENT, *tiny(), "--force", "--json")
    assert again.code == 0 and json.loads(again.out)["scores"] == content["scores"]


def test_an_interrupted_probe_continues(run, tiny, music, folder, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    arguments = ("probe", "music", "--out", "probes", "--method", "diffmean", *SEGMENT, *tiny())
    with monkeypatch.context() as patched:
        patched.setattr("tonearm.activations.corpus.capture_segments", stop)
        outcome = run(*arguments)
        assert outcome.code == 130 and "the same command continues" in outcome.err
    assert run(*arguments).code == 0


def test_probe_counts_what_it_left_out(run, tiny, music, folder):
    Clip(np.zeros(1600), 1600).write(music / "jazz" / "quiet.wav")
    outcome = run("probe", "music", "--out", "p", "--method", "diffmean", *SEGMENT, *tiny())
    assert outcome.code == 2 and (folder / "p" / "probe.json").is_file()
    assert outcome.err.startswith("tonearm: left out 2 silent (jazz/quiet.wav from 0 s is silent")
    assert outcome.err.count("\n") == 1


def test_a_column_of_a_corpus_is_learned(learn, music):
    rows = [
        f"{label}/{i}.wav,{label},{'calm' if i else 'loud'}"
        for label in ("jazz", "rock")
        for i in (0, 1)
    ]
    (music / "metadata.csv").write_text("\n".join(["file_name,label,mood", *rows]) + "\n")
    corpus = ("--audio", "music", "--json", "--force")
    by_mood = learn(*corpus, "--label", "calm", "--column", "mood")
    assert by_mood.code == 0, by_mood.err
    content = json.loads(by_mood.out)
    assert (content["positive_count"], content["negative_count"]) == (4, 4)
    calm = learn(*corpus, "--label", "jazz", "--where", "mood=calm", "--layout", "metadata")
    assert json.loads(calm.out)["positive_count"] == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "no folder at nowhere"),
        (["music/jazz"], "no audio|has the label (none) alone"),
        (["music", "--site", "roof"], "no site 'roof'"),
        (["music", "--site", "heads", "--site", "heads"], "use each once"),
        (["music", "--method", "magic"], "method 'magic'"),
        (["music", "--segment", "0.8"], "set (folk)"),
        (["music", "--segment", "0.4"], "method lda tests its directions on held-out"),
        (["music", "--column", "mood"], "mood"),
        (["music", "--where", "mood"], "--where 'mood' is no COLUMN=VALUE"),
        (["music", "--layout", "roof"], "roof"),
    ],
)
def test_mistakes_of_probe_are_one_line(run, tiny, music, folder, arguments, message):
    if "0.8" in arguments:
        for index in range(2):
            noise_clip(0.5, index).write(folder / "music" / "folk" / f"{index}.wav")
    outcome = run("probe", *arguments, "--out", "probes", *tiny())
    assert outcome.code == 2 and outcome.out == "" and outcome.err.count("\n") == 1
    assert any(part in outcome.err for part in message.split("|"))
