import gc
import inspect
import json
import shutil
import sys
import weakref
from pathlib import Path

import pytest
import soundfile

from tests.steering.vectors import vector_of
from tonearm import load, save_vector
from tonearm.cli.generate import generate
from tonearm.generation.provenance import read_sidecar
from tonearm.model import Model
from tonearm.musicgen.engine import DecoderEngine


def codes(sidecar):
    return read_sidecar(sidecar).codes_sha256


def test_it_prints_what_it_does_and_writes_audio_and_sidecar(play, folder):
    outcome = play("--steer", "energy=raw:+1.25", "-o", "flute.wav")
    assert outcome.code == 0
    assert (
        "energy raw +1.25 (more): add, layer" in outcome.out and "into layers 0..2" in outcome.out
    )
    assert "0.5 s, seed 7, guidance 3, temperature 1" in outcome.out
    unguided = play("--guidance", 0.7, "--force")
    assert "0.5 s, seed 7, no guidance, temperature 1" in unguided.out
    assert "BPM" in outcome.out and "flute.wav" in outcome.out
    assert max(map(len, outcome.out.splitlines()[:6])) <= 80
    assert soundfile.info(folder / "flute.wav").duration == pytest.approx(0.5, abs=0.05)
    assert read_sidecar(folder / "flute.json").steering.steers[0].strength == 1.25


def test_what_is_not_asked_for_is_the_checkpoints_own(run, folder, folder_of):
    own = shutil.copytree(folder_of("melody"), folder / "own")
    config = json.loads((own / "generation_config.json").read_text())
    (own / "generation_config.json").write_text(
        json.dumps(config | {"guidance_scale": 2.0, "temperature": 0.8})
    )
    outcome = run(
        "generate",
        "a folk tune",
        "--model",
        "own",
        "--seconds",
        0.5,
        "--guidance",
        4,
        "-o",
        "own.wav",
    )
    assert "guidance 4, temperature 0.8" in outcome.out
    sampling = read_sidecar(folder / "own.json").sampling
    assert (sampling.guidance, sampling.temperature) == (4, 0.8)
    save_vector(vector_of(load("own", device="cpu"), "push"), "push.safetensors")
    outcome = run(
        "compare",
        "a folk tune",
        "--model",
        "own",
        "--seconds",
        0.5,
        "--steer",
        "push.safetensors=raw:1",
        "--out",
        "page",
    )
    assert "guidance 2, temperature 0.8" in " ".join(
        outcome.out.split()
    )  # however the line is broken


def test_strength_0_is_reported_to_change_nothing(play):
    assert "energy raw +0 (no change): add" in play("--steer", "energy=raw:0").out


def test_words_in_brackets_and_colons_are_the_users_own(run, tiny):
    outcome = run("generate", "a [bold]folk[/bold] tune :smile:", "--seconds", 0.5, *tiny())
    assert "a [bold]folk[/bold] tune :smile:" in outcome.out


def test_json_is_all_there_is_on_stdout_and_equals_the_sidecar(play, folder):
    outcome = play("--json", "-o", "flute.wav", "--steer", "energy=raw:1")
    (only,) = json.loads(outcome.out)["takes"]
    assert only["audio"] == "flute.wav" and only["sidecar"] == "flute.json"
    assert only["take"] == json.loads((folder / "flute.json").read_text())
    assert only["take"]["measured"]["spectral_centroid"]["value"] > 0
    assert outcome.err == ""


def test_short_and_long_form_of_steering_make_the_same_take(play, folder):
    (folder / "steering.json").write_text(
        '{"steers": [{"vector": "energy", "strength": 8, "operator": "add", "schedule": {"points": [[0.1, 0], [0.1, 1], [0.4, 1], [0.4, 0]]}}]}'
    )
    assert play("--steer", "energy=raw:8@0.1-0.4", "-o", "short.wav").code == 0
    assert play("--steering", "steering.json", "-o", "long.wav").code == 0
    assert play("-o", "plain.wav").code == 0
    assert (
        codes(folder / "short.json") == codes(folder / "long.json") != codes(folder / "plain.json")
    )


def test_steer_is_appended_to_a_steering_file(play, folder):
    (folder / "two.json").write_text('[{"vector": "energy", "strength": 2}]')
    play(
        "--steering", "two.json", "--steer", "energy=raw:3,energy.safetensors=raw:-1", "-o", "a.wav"
    )
    assert [steer.strength for steer in read_sidecar(folder / "a.json").steering.steers] == [
        2,
        3,
        -1,
    ]


def test_several_takes_of_several_prompts_are_numbered_and_seeded_in_order(run, tiny, folder):
    outcome = run(
        "generate",
        "--prompts",
        "fast.txt",
        "-n",
        2,
        "--seconds",
        0.5,
        "--seed",
        5,
        "-o",
        "new/a.wav",
        *tiny(),
    )
    assert outcome.code == 0
    takes = [read_sidecar(folder / f"new/a-{number}.json") for number in (1, 2, 3, 4)]
    assert [take.seed for take in takes] == [5, 6, 7, 8]
    assert [take.prompt for take in takes] == ["a fast folk tune"] * 2 + ["a quick jazz piece"] * 2
    assert "4 takes of 0.5 s, seeds 5..8" in outcome.out


def test_audio_prompt_and_melody_reach_the_take(play, folder):
    assert play("--continue-from", "tone.wav", "-o", "on.wav").code == 0
    take = read_sidecar(folder / "on.json")
    assert take.audio_prompt.seconds == 1 and soundfile.info(folder / "on.wav").duration > 1.4
    assert play("--melody", "tone.wav", "--negative", "slow", "-o", "m.wav").code == 0
    assert read_sidecar(folder / "m.json").melody.file == "tone.wav"


def test_sections_reach_the_take_and_are_shown(play, run, tiny, folder):
    outcome = play("--section", "0.2s=slow jazz", "--section", " 0.32 = a calm = loud tune")
    assert outcome.code == 0
    assert "from 0.2 s: slow jazz" in outcome.out and "from 0.32 s: a calm" in outcome.out
    sections = read_sidecar(folder / "take.json").sections
    assert [(one.frame, one.prompt) for one in sections] == [
        (5, "slow jazz"),
        (8, "a calm = loud tune"),
    ]
    assert "from frame 5: slow jazz" in run("inspect", "take.json").out
    assert run("replay", "take.json", *tiny()).code == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--section", "slow jazz"], "--section 'slow jazz' is not a time and a prompt"),
        (["--section", "0:08=slow jazz"], "is not a time and a prompt"),
        (["--section", "0.2s="], "the prompt is empty"),
        (["--section", "3s=slow jazz"], "cannot begin at 3 s"),
        (["--section", "0.2s=slow", "--set", "tempo=128bpm"], "omit --section"),
    ],
)
def test_a_section_that_cannot_be_is_one_line(play, folder, options, said):
    outcome = play(*options)
    assert outcome.code == 2 and said in outcome.err
    assert not (folder / "take.wav").exists()


def test_existing_files_are_kept_unless_forced(play, folder):
    (folder / "a.json").write_text("mine")
    outcome = play("-o", "a.wav")
    assert outcome.code == 2 and "a.json exists already" in outcome.err
    assert (folder / "a.json").read_text() == "mine" and not (folder / "a.wav").exists()
    assert play("-o", "a.wav", "--force").code == 0
    assert read_sidecar(folder / "a.json").prompt == "a folk tune"


def test_an_input_is_never_overwritten(play, folder):
    before = (folder / "tone.wav").read_bytes()
    outcome = play("--continue-from", "tone.wav", "-o", "tone.wav", "--force")
    assert outcome.code == 2 and "would be overwritten" in outcome.err
    assert (folder / "tone.wav").read_bytes() == before


@pytest.mark.parametrize("name", ["loud.json", "tone-1.json"])
def test_a_steering_file_is_never_overwritten_by_a_sidecar(play, folder, name):
    text = '[{"vector": "energy", "strength": 2}]'
    (folder / name).write_text(text)
    takes = ("-n", 2, "-o", "tone.wav") if "-" in name else ("-o", "loud.wav")
    outcome = play("--steering", name, *takes, "--force")
    assert outcome.code == 2 and f"{name} would be overwritten" in outcome.err
    assert (folder / name).read_text() == text


def test_the_audio_of_earlier_takes_is_not_kept(play, monkeypatch):
    """A command may make 100,000 of them."""
    module = sys.modules["tonearm.cli.generate"]  # whose name the command has, too
    earlier, save = [], module.save_take

    def saving(take, path, **options):
        gc.collect()
        alive.append(sum(one() is not None for one in earlier))
        earlier.append(weakref.ref(take))
        return save(take, path, **options)

    alive: list[int] = []
    monkeypatch.setattr(module, "save_take", saving)
    assert play("-n", 4, "--batch-size", 1, "-o", "a.wav").code == 0
    assert len(alive) == 4 and max(alive) <= 1


def test_a_continuation_is_not_trimmed(play):
    outcome = play("--set", "tempo=120bpm", "--trim", "--continue-from", "tone.wav", "-o", "a.wav")
    assert outcome.code == 2 and "omit --trim" in outcome.err and outcome.err.count("\n") == 1


def interrupted_at(batch, monkeypatch):
    real, calls = DecoderEngine.rows, []

    def rows(*arguments):
        calls.append(arguments)
        if len(calls) == batch:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(DecoderEngine, "rows", rows)


def test_ctrl_c_keeps_what_is_done(play, folder, monkeypatch):
    interrupted_at(3, monkeypatch)
    outcome = play("-n", 4, "--batch-size", 1, "-o", "a.wav")
    assert outcome.code == 130
    assert outcome.err == "tonearm: stopped; kept 2 of 4 takes: a-1.wav, a-2.wav\n"
    assert sorted(path.name for path in folder.glob("a*")) == [
        "a-1.json",
        "a-1.wav",
        "a-2.json",
        "a-2.wav",
    ]


def test_ctrl_c_before_the_first_take(play, folder, monkeypatch):
    interrupted_at(1, monkeypatch)
    outcome = play("-o", "a.wav", "--json")
    assert (outcome.code, outcome.out) == (130, "")
    assert "nothing was written" in outcome.err and not list(folder.glob("a*"))


def test_ctrl_c_with_json_reports_what_was_kept(play, monkeypatch):
    interrupted_at(2, monkeypatch)
    outcome = play("-n", 2, "--batch-size", 1, "-o", "a.wav", "--json")
    assert outcome.code == 130
    assert [take["audio"] for take in json.loads(outcome.out)["takes"]] == ["a-1.wav"]


def test_ctrl_c_while_writing_leaves_no_half_file(play, folder, monkeypatch):
    def write_bytes(path, content):
        path.write_text("RIFF")
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    assert play("-o", "a.wav").code == 130
    assert not list(folder.glob("*a.wav*"))


def test_the_defaults_are_those_of_model_generate():
    ours, theirs = (
        inspect.signature(function).parameters for function in (generate, Model.generate)
    )
    shared = (set(ours) & set(theirs)) - {"prompt"}
    assert {"seconds", "seed", "guidance", "temperature", "top_k", "top_p", "negative"} <= shared
    for name in shared:
        assert ours[name].default == theirs[name].default, name
    assert set(theirs) - {"self", "progress"} <= set(ours)
