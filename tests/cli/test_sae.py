"""tonearm sae: train, features, vector and learn."""

import json

import numpy as np
import pytest

from tests.activations.sounds import noise_clip
from tests.features.planted import autoencoder_of
from tonearm.features import train as train_module
from tonearm.features.row_stream import RowStream
from tonearm.features.trained import load_autoencoder, save_autoencoder
from tonearm.steering import load_vector

PROMPTS = "a fast folk tune\nslow dark jazz piece\nloud bright piano tune\ncalm flute piece\n"
TRAINING = ("--rows", 32 * 20, "--batch-rows", 32, "--expansion", 2, "--k", 4, "--seconds", 0.8)


@pytest.fixture
def prompts(folder):
    (folder / "prompts.txt").write_text(PROMPTS)
    return ("--prompts", "prompts.txt")


@pytest.fixture
def trained(melody, folder):
    made = autoencoder_of(melody.shape, length=6.0)
    return save_autoencoder(made, folder / "sae.safetensors").name


def test_layers_are_trained_and_shown(run, tiny, prompts, folder):
    outcome = run(
        "sae", "train", "t", "--layer", 0, "--layer", 2, *prompts, "--takes", 8, *TRAINING, *tiny()
    )
    assert outcome.code == 0, outcome.err
    assert "8 takes of 4 prompts, 1 held out" in outcome.out
    assert "64, 4 active per frame" in outcome.out
    for layer in (0, 2):
        info = load_autoencoder(folder / "t" / f"residual-{layer}.safetensors").info
        assert (info.layer, info.settings.k, info.settings.prefixes) == (layer, 4, (1.0,))
    shown = run("inspect", "t/residual-2.safetensors")
    assert shown.code == 0, shown.err
    for text in ("64 features, 4 active per frame", "layer 2 of 3, residual", "CE recovered"):
        assert text in shown.out
    content = json.loads(run("inspect", "t/residual-2.safetensors", "--json").out)
    assert content["fingerprint"] == info.fingerprint and content["fidelity"]["fvu"] > 0


def test_a_stopped_training_continues(run, tiny, prompts, folder, monkeypatch):
    arguments = ("sae", "train", "t", "--layer", 1, *prompts, *TRAINING, *tiny())
    monkeypatch.setattr(RowStream, "chunk_clips", 1)

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(train_module, "measure_fidelity", stop)
        stopped = run(*arguments)
    assert stopped.code == 130
    assert stopped.err == "tonearm: stopped; t is kept, and the same command continues\n"
    continued = run(*arguments)
    assert continued.code == 0, continued.err
    assert not (folder / "t" / "training.safetensors").exists()


def test_audio_matryoshka_and_half_precision(run, tiny, folder):
    for index in range(4):
        noise_clip(0.9, index).write(folder / "music" / f"{index}.wav")
    outcome = run(
        "sae", "train", "t", "--layer", 1, "--audio", "music", *TRAINING, "--matryoshka", "--half",
        "--json", *tiny(),
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    (content,) = json.loads(outcome.out)["autoencoders"]
    assert content["settings"]["prefixes"] == [0.125, 0.25, 0.5, 1.0]
    assert content["source"] == "audio" and content["tracks"] == 4
    assert content["content_hash"] == load_autoencoder(folder / content["file"]).content_hash()
    assert "nested" in run("inspect", content["file"]).out


def test_features_are_named_and_written(run, tiny, trained, clap_folder, folder):
    lines = [f"{one} {two} tune" for one in ("fast", "slow", "loud", "soft", "dark", "bright")
             for two in ("folk", "jazz", "flute", "piano", "calm", "quick")]  # fmt: skip
    (folder / "many.txt").write_text("\n".join(lines))
    arguments = (
        "sae", "features", trained, "-o", "names.json", "--prompts", "many.txt", "--seconds", 0.4,
        "--store", "kept", "--clap", clap_folder, "--texts", "jazz, fast", *tiny(),
    )  # fmt: skip
    outcome = run(*arguments)
    assert outcome.code == 0, outcome.err
    assert "36, of which 24 chose the names" in outcome.out
    content = json.loads((folder / "names.json").read_text())
    assert content["tracks"] == 36 and content["features"] == 48
    assert {"loudness", "clap jazz"} <= set(content["labels"])
    again = run(*arguments, "--force", "--json")
    assert json.loads(again.out)["names"] == content["names"]


def test_a_feature_becomes_a_vector_that_steers(run, play, trained, folder):
    outcome = run("sae", "vector", trained, 7, "--label", "rock")
    assert outcome.code == 0, outcome.err
    assert "+ rock, - less rock" in outcome.out
    info = load_vector(folder / "feature-7.safetensors").info
    assert info.statistics["feature"] == 7
    for steer in ("feature-7.safetensors=1@one-to-one", "feature-7.safetensors=-1@feature"):
        assert f"--steer {steer}" in outcome.out
        steered = play("--steer", steer, "--force")
        assert steered.code == 0, steered.err
    shown = " ".join(steered.out.split())
    assert "raw -1 (less rock): feature, each layer's own into layer 1" in shown


def test_two_prompt_sets_become_a_vector(run, tiny, trained, folder):
    outcome = run(
        "sae", "learn", "tempo", "--sae", trained, "--positive", "fast.txt", "--negative",
        "slow.txt", "--count", 3, "--rule", "difference", "--seconds", 0.4, "--seed", 1,
        "--positive-label", "fast", "--json", *tiny(),
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    content = json.loads(outcome.out)
    assert content["method"] == "sae-difference" and content["positive_label"] == "fast"
    assert 1 <= len(content["positive_features"]) <= 3
    vector = load_vector(folder / "tempo.safetensors")
    assert vector.content_hash() == content["content_hash"] and vector.layers == (1,)


def test_two_folders_of_audio_become_a_vector(run, tiny, trained, folder):
    for side, loudness in (("loud", 1.0), ("soft", 0.1)):
        for index in range(3):
            clip = noise_clip(0.9, index)
            type(clip)(np.float32(loudness) * clip.samples, clip.sample_rate).write(
                folder / side / f"{index}.wav"
            )
    outcome = run(
        "sae", "learn", "loudness", "--sae", trained, "--positive", "loud", "--negative", "soft",
        "--seconds", 0.4, "--store", "kept", *tiny(),
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert load_vector(folder / "loudness.safetensors").info.source == "audio"
    assert (folder / "kept" / "positive" / "index.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "t", "--layer", 1], "give --prompts FILE or --audio FOLDER, one of them"),
        (["train", "t", "--layer", 9, "--prompts", "fast.txt"], "layers 9 are not possible"),
        (["train", "t", "--layer", 1, "--prompts", "no.txt"], "no prompt file at no.txt"),
        (["train", "t", "--layer", 1, "--audio", "no"], "no"),
        (["train", "t", "--layer", 1, "--audio", ".", "--takes", 3], "--takes belongs to prompts"),
        (["train", "t", "--layer", 1, "--prompts", "fast.txt", "--k", 0], "k: Input should be"),
        (["train", "t", "--layer", 1, "--prompts", "fast.txt", "--site", "x"], "has no site 'x'"),
        (["train", "t", "--layer", 1, "--prompts", "fast.txt", "--rows", 9], "fewer than the 2048"),
        (["features", "sae.safetensors", "-o", "n.json", "--prompts", "fast.txt", "--seconds", 0.4],
         "2 tracks are too few for names"),
        (["features", "energy.safetensors", "-o", "n.json", "--prompts", "fast.txt"],
         "is a safetensors file but no autoencoder"),
        (["vector", "sae.safetensors", 99], "feature 99 does not exist"),
        (["vector", "no.safetensors", 1], "no autoencoder at no.safetensors"),
        (["learn", "x", "--sae", "sae.safetensors", "--positive", "fast.txt", "--negative", "."],
         "are of different kinds"),
        (["learn", "x", "--sae", "sae.safetensors", "--positive", "fast.txt", "--negative",
          "slow.txt", "--rule", "best"], "rule 'best' is not known"),
        (["learn", "a=b", "--sae", "sae.safetensors", "--positive", "fast.txt", "--negative",
          "slow.txt"], "holds '='"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(run, tiny, trained, arguments, said):
    model = [] if arguments[0] == "vector" else tiny()
    outcome = run("sae", *arguments, *model)
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1 and said in outcome.err
    assert not outcome.out


def test_an_autoencoder_of_another_checkpoint_is_refused(run, tiny, trained):
    outcome = run(
        "sae", "learn", "x", "--sae", trained, "--positive", "fast.txt", "--negative", "slow.txt",
        *tiny("small"),
    )  # fmt: skip
    assert outcome.code == 2 and "the autoencoder was trained on" in outcome.err


def test_existing_files_are_kept(run, tiny, prompts, trained, folder):
    (folder / "feature-7.safetensors").write_text("mine")
    outcome = run("sae", "vector", trained, 7)
    assert outcome.code == 2 and "--force" in outcome.err
    assert (folder / "feature-7.safetensors").read_text() == "mine"


def test_the_group_alone_shows_its_commands(run):
    outcome = run("sae")
    for command in ("train", "features", "vector", "learn"):
        assert command in outcome.out
