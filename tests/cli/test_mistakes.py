"""Each mistake: exit code 2, one line on stderr that names what is wrong, nothing on stdout, nothing written."""

import json

import numpy as np
import pytest

from tonearm.audio import Clip

STEERING = {
    "unknown-key.json": {"steers": [{"vector": "energy", "strenght": 1}]},
    "layer-99.json": {"steers": [{"vector": "energy", "layers": [99]}]},
    "nan.json": {"steers": [{"vector": "energy", "strength": float("nan")}]},
}


@pytest.fixture
def traps(folder):
    for name, content in STEERING.items():
        (folder / name).write_text(json.dumps(content))
    (folder / "text.wav").write_text("not audio")
    (folder / "empty.txt").write_text("# nothing\n\n")
    (folder / "broken.json").write_text("{")
    Clip(np.zeros(1600), 1600).write(folder / "silent.wav")
    Clip(np.full(1600, np.nan), 1600).write(folder / "nan.wav")
    Clip(np.ones(20), 1600).write(folder / "short.wav")
    return folder


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--steer", "energy"], "NAME=AMOUNT"),
        (["--steer", "energy=raw:much"], "'much' is not a number"),
        (["--steer", "energy=raw:nan"], "finite"),
        (["--steer", "energy=raw:inf"], "finite"),
        (["--steer", "energy=raw:5000"], "beyond"),
        (["--steer", "nonsense=raw:1"], "no vector 'nonsense'"),
        (["--steer", "nowhere.safetensors=raw:1"], "nowhere.safetensors"),
        (["--steering", "nowhere.json"], "no steering file at nowhere.json"),
        (["--steering", "broken.json"], "cannot read broken.json as JSON"),
        (["--steering", "unknown-key.json"], "unknown key"),
        (["--steering", "layer-99.json"], "layer 99 does not exist"),
        (["--steering", "nan.json"], "finite"),
        (["--seconds", "0"], "0 s is not possible"),
        (["--seconds", "-1"], "-1 s is not possible"),
        (["--seconds", "nan"], "nan s is not possible"),
        (["--seconds", "9999"], "9999 s is not possible"),
        (["--seconds", "31", "--engine", "reference"], "window of 30 s"),
        (["--seed", "-1"], "seed -1 is not possible"),
        (["-n", "0"], "0 takes are not possible"),
        (["-n", "500000000"], "500000000 takes are too many for one command; make at most 100000"),
        (["--top-p", "2"], "top_p 2 is not possible"),
        (["--top-k", "-1"], "top_k -1 is not possible"),
        (["--temperature", "-1"], "temperature -1 is not possible"),
        (["--guidance", "nan"], "guidance nan is not possible"),
        (["--batch-size", "0"], "batch size 0 is not possible"),
        (["--continue-from", "nowhere.wav"], "no audio file at nowhere.wav"),
        (["--continue-from", "text.wav"], "cannot read text.wav as audio"),
        (["--continue-from", "silent.wav"], "silent"),
        (["--continue-from", "nan.wav"], "NaN"),
        (["--continue-from", "short.wav"], "give at least"),
        (["--melody", "nan.wav"], "NaN"),
        (["--prompts", "fast.txt"], "both were given"),
        (["--model", "nonsense"], "no checkpoint 'nonsense'"),
        (["--model", "."], "cannot load checkpoint"),
        (["--device", "abacus"], "device 'abacus' is not available"),
        (["--dtype", "int3"], "dtype 'int3' is not known"),
        (["-o", "take.mp3"], "the ending is .mp3"),
        (["-o", "take"], "the ending is missing"),
        (["-o", "fast.txt/take.wav"], "fast.txt is a file"),
    ],
)
def test_generate(play, traps, arguments, said):
    before = set(traps.rglob("*"))
    outcome = play(*arguments)
    assert outcome.code == 2 and outcome.out == ""
    assert outcome.err.startswith("tonearm: ") and outcome.err.count("\n") == 1
    assert said in outcome.err
    assert set(traps.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["generate"], "neither was given"),
        (["generate", " "], "the prompt is empty"),
        (["generate", "--prompts", "nowhere.txt"], "no prompt file at nowhere.txt"),
        (["generate", "--prompts", "empty.txt"], "empty.txt holds no prompts"),
        (["generate", "a", "--steer", "energy=raw:1", "--json", "--seconds", "0"], "0 s is not possible"),
        (["compare", "a", "--out", "cmp"], "nothing to compare"),
        (["compare", "a", "--out", ".", "--steer", "energy=raw:1"], ". is not empty"),
        (["compare", "a", "--out", "fast.txt", "--steer", "energy=raw:1"], "fast.txt is a file"),
        (["compare", "a", "--out", "cmp", "--also", "energy"], "NAME=AMOUNT"),
        (["learn", "a/b", "--positive", "fast.txt", "--negative", "slow.txt"], "holds '/'"),
        (["learn", "energy", "--positive", "fast.txt", "--negative", "slow.txt"], "energy.safetensors exists already"),
        (["learn", "new", "--positive", "nowhere.txt", "--negative", "slow.txt"], "no prompt file at nowhere.txt"),
        (["learn", "new", "--positive", "fast.txt", "--negative", "fast.txt"], "give sets that differ"),
        (["learn", "new", "--positive", "fast.txt", "--negative", "slow.txt", "--site", "roof"], "no site 'roof'"),
        (["learn", "new", "--positive", "fast.txt", "--negative", "slow.txt", "--pooling", "sum"], "pooling 'sum'"),
        (["replay", "nowhere.json"], "no sidecar at nowhere.json"),
        (["replay", "unknown-key.json"], "not a take's sidecar"),
        (["inspect", "nowhere.wav"], "no audio file"),
        (["inspect", "nowhere.safetensors"], "no steering vector at nowhere.safetensors"),
        (["inspect", "broken.json"], "cannot read broken.json"),
        (["vectors", "nowhere.safetensors"], "no steering vector at nowhere.safetensors"),
    ],
)  # fmt: skip
def test_other_commands(run, tiny, traps, arguments, said):
    before = set(traps.rglob("*"))
    takes_model = arguments[0] in ("generate", "compare", "learn")
    outcome = run(*arguments, *(tiny() if takes_model else []))
    assert outcome.code == 2 and outcome.out == ""
    assert outcome.err.startswith("tonearm: ") and outcome.err.count("\n") == 1
    assert said in outcome.err
    assert set(traps.rglob("*")) == before


def test_a_vector_from_another_checkpoint(run, tiny, folder):
    outcome = run(
        "generate", "a folk tune", "--steer", "energy=raw:1", "--seconds", 0.5, *tiny("small")
    )
    assert outcome.code == 2 and "energy was made for" in outcome.err


def test_a_melody_that_is_too_short(play, traps):
    outcome = play("--melody", "short.wav")
    assert outcome.code == 2 and "give at least 0.5 s" in outcome.err


def test_a_melody_for_a_checkpoint_that_takes_none(run, tiny, folder):
    outcome = run(
        "generate", "a folk tune", "--melody", "tone.wav", "--seconds", 0.5, *tiny("small")
    )
    assert outcome.code == 2 and "takes no melody" in outcome.err
