"""Takes whose files were moved: paths in sidecars, and replay of audio prompts and melodies."""

import json
import shutil
from pathlib import Path

import pytest

from tests.generation.test_take import noise, tone
from tests.steering.vectors import vector_of
from tonearm.cli import main
from tonearm.errors import TonearmError
from tonearm.generation.provenance import read_sidecar
from tonearm.generation.side_files import stored_path
from tonearm.model import Model
from tonearm.musicgen.checkpoint import load_checkpoint
from tonearm.replaying import replay
from tonearm.steering import Steering, load_vector, save_vector


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """The folder of a user called alice, with audio; it is the working directory."""
    home = tmp_path / "home" / "alice"
    (home / "music").mkdir(parents=True)
    noise().write(home / "music" / "prompt.wav")
    tone().write(home / "music" / "melody.wav")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(home)
    return home


def continued(model: Model, home: Path, path: Path, **settings) -> Path:
    inputs = dict(continue_from=home / "music" / "prompt.wav", melody=home / "music" / "melody.wav")
    take = model.generate("calm", seconds=0.4, seed=5, **(inputs | settings))
    return take.save(path)


def stored(sidecar: Path) -> tuple[str, str]:
    record = read_sidecar(sidecar)
    return record.audio_prompt.file, record.melody.file


@pytest.mark.parametrize(
    ("file", "folder", "expected"),
    [
        ("/home/alice/takes/in.wav", "/home/alice/takes", "in.wav"),
        ("/home/alice/takes/sub/in.wav", "/home/alice/takes", "sub/in.wav"),
        ("/home/alice/music/in.wav", "/home/alice/takes/new", "../../music/in.wav"),
        ("/home/alice/in.wav", "/home/alice/takes", "../in.wav"),
        ("/home/alice/in.wav", "/tmp/takes", "in.wav"),
        ("/tmp/in.wav", "/home/alice/takes", "in.wav"),
        ("/home/bob/in.wav", "/home/alice/takes", "in.wav"),
        ("/Users/bob/in.wav", "/Users/carol/takes", "in.wav"),
        ("/data/music/in.wav", "/data/takes", "../music/in.wav"),
        ("/home/alice/takes/../music/in.wav", "/home/alice/takes", "../music/in.wav"),
    ],
)
def test_a_path_in_a_sidecar_is_relative_and_names_no_home(monkeypatch, file, folder, expected):
    monkeypatch.setenv("HOME", "/home/alice")
    assert stored_path(Path(file), Path(folder)) == expected


def test_a_home_elsewhere_is_not_named_either(monkeypatch):
    monkeypatch.setenv("HOME", "/mnt/staff/alice")
    assert stored_path(Path("/mnt/staff/alice/in.wav"), Path("/mnt/staff/takes")) == "in.wav"
    assert stored_path(Path("/mnt/in.wav"), Path("/mnt/takes")) == "in.wav"


def test_a_link_is_stored_by_its_own_name(tmp_path):
    (tmp_path / "real.wav").touch()
    (tmp_path / "takes").mkdir()
    (tmp_path / "takes" / "in.wav").symlink_to(tmp_path / "real.wav")
    assert stored_path(tmp_path / "takes" / "in.wav", tmp_path / "takes") == "in.wav"


def test_inputs_below_the_take_move_with_it(melody, home, tmp_path):
    assert stored(continued(melody, home, home / "take.wav")) == (
        "music/prompt.wav",
        "music/melody.wav",
    )
    shutil.move(home, tmp_path / "moved")
    assert replay(tmp_path / "moved" / "take.json", model=melody).identical


def test_inputs_beside_the_folder_of_takes_move_with_both(melody, home, tmp_path):
    assert stored(continued(melody, home, home / "takes" / "take.wav")) == (
        "../music/prompt.wav",
        "../music/melody.wav",
    )
    shutil.move(home, tmp_path / "moved")
    assert replay(tmp_path / "moved" / "takes" / "take.json", model=melody).identical


def test_inputs_are_found_beside_the_sidecar_then_in_the_working_directory(
    melody, home, tmp_path, monkeypatch
):
    sidecar = continued(melody, home, tmp_path / "elsewhere" / "take.wav")
    assert stored(sidecar) == ("prompt.wav", "melody.wav")
    with pytest.raises(TonearmError, match=r"no audio file at .*name the audio prompt where"):
        replay(sidecar, model=melody)
    shutil.copy(home / "music" / "prompt.wav", sidecar.parent)
    noise(0.2).write(home / "prompt.wav")  # another file of that name in the working directory
    with pytest.raises(TonearmError, match=r"melody\.wav; name the melody where .*--melody"):
        replay(sidecar, model=melody)
    monkeypatch.chdir(home / "music")
    assert replay(sidecar, model=melody).identical


def test_another_file_at_the_first_place_does_not_hide_the_right_one(
    melody, home, tmp_path, monkeypatch
):
    sidecar = continued(melody, home, tmp_path / "elsewhere" / "take.wav")
    noise(0.2).write(sidecar.parent / "prompt.wav")
    (sidecar.parent / "melody.wav").write_text("no audio")
    monkeypatch.chdir(home / "music")
    assert replay(sidecar, model=melody).identical


def test_inputs_are_named_where_they_are_now(melody, home, tmp_path):
    sidecar = continued(melody, home, tmp_path / "elsewhere" / "take.wav")
    prompt, tune = home / "a.wav", home / "b.wav"
    shutil.move(home / "music" / "prompt.wav", prompt)
    shutil.move(home / "music" / "melody.wav", tune)
    assert replay(sidecar, model=melody, continue_from=prompt, melody=tune).identical
    again = replay(sidecar, model=melody, continue_from=noise(), melody=str(tune))
    assert again.identical
    with pytest.raises(TonearmError, match="is not the audio prompt of the take") as error:
        replay(sidecar, model=melody, continue_from=tune, melody=tune)
    assert "\n" not in str(error.value) and str(tune) in str(error.value)
    with pytest.raises(TonearmError, match="is not the melody of the take"):
        replay(sidecar, model=melody, continue_from=prompt, melody=tone(0.5))


def test_an_input_that_the_take_does_not_have_is_refused(melody, home):
    sidecar = continued(melody, home, home / "take.wav", melody=None)
    with pytest.raises(TonearmError, match="has no melody; leave out --melody"):
        replay(sidecar, model=melody, melody=home / "music" / "melody.wav")


def test_an_older_sidecar_with_absolute_paths_replays(melody, home, tmp_path):
    sidecar = continued(melody, home, tmp_path / "elsewhere" / "take.wav")
    content = json.loads(sidecar.read_text())
    for key, name in (("audio_prompt", "prompt.wav"), ("melody", "melody.wav")):
        content[key]["file"] = str(home / "music" / name)
    del content["batch"]["frames"]
    sidecar.write_text(json.dumps(content))
    assert replay(sidecar, model=melody).identical
    shutil.move(home / "music" / "prompt.wav", sidecar.parent)
    shutil.move(home / "music" / "melody.wav", home)
    assert replay(sidecar, model=melody).identical


def test_replay_takes_the_inputs_from_the_command_line(folder_of, melody, home, tmp_path, capsys):
    sidecar = continued(melody, home, tmp_path / "elsewhere" / "take.wav")
    prompt, tune = shutil.move(home / "music" / "prompt.wav", home / "p.wav"), "music/melody.wav"
    shared = ["replay", str(sidecar), "--model", str(folder_of("melody"))]
    assert main([*shared, "--continue-from", str(prompt), "--melody", tune]) == 0
    assert main(shared) == 2
    assert main([*shared, "--continue-from", tune, "--melody", tune]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert "--continue-from" in first and "is not the audio prompt of the take" in second


@pytest.fixture
def resident(home, folder_of) -> Model:
    """A checkpoint in the home."""
    shutil.copytree(folder_of("melody"), home / "checkpoint")
    return Model(load_checkpoint(str(home / "checkpoint"), "cpu"))


def test_no_file_names_the_home(home, resident, tmp_path):
    """Files in the home and elsewhere: takes, comparisons and vectors."""
    vector = save_vector(vector_of(resident, "push"), home / "push.safetensors")
    prompts = home / "prompts.txt"
    prompts.write_text("a fast tune\n")
    (home / "slow.txt").write_text("a slow tune\n")
    checkpoint = ["--model", str(home / "checkpoint")]
    short = ["--seconds", "0.4", "--seed", "1", *checkpoint, "--steer", f"{vector}=raw:1.5"]
    music = home / "music"
    inputs = ["--continue-from", str(music / "prompt.wav"), "--melody", str(music / "melody.wav")]
    for place in (home / "out", tmp_path / "elsewhere"):
        commands = [
            ["generate", "calm", *short, *inputs, "-o", str(place / "take.wav")],
            ["generate", "--prompts", str(prompts), *short, "-o", str(place / "other.flac")],
            ["compare", "calm", *short, "--out", str(place / "cmp")],
            ["learn", "pace", *checkpoint, "-o", str(place / "pace"),
             "--positive", str(prompts), "--negative", str(home / "slow.txt")],
        ]  # fmt: skip
        assert [main(command) for command in commands] == [0] * len(commands)
        written = [path for path in place.rglob("*") if path.is_file()]
        assert len(written) > 10
        for path in written:
            assert b"alice" not in path.read_bytes(), path
    sidecar = tmp_path / "elsewhere" / "cmp" / "steered-1.json"
    assert [*read_sidecar(sidecar).vectors] == ["push.safetensors"]
    assert replay(sidecar, model=resident).identical


def test_two_vector_files_of_one_name_keep_apart(small, home, tmp_path):
    paths = [home / folder / "push.safetensors" for folder in ("a", "b")]
    vectors = [save_vector(vector_of(small, "push", seed=i), path) for i, path in enumerate(paths)]
    steer = {str(path): "raw:1" for path in vectors}
    take = small.generate("calm", steer=steer, seconds=0.4, seed=1)
    first, second = take.vectors
    other = load_vector(vectors[1]).content_hash()[:8]
    assert {first, second} == {"push.safetensors", f"push-{other}.safetensors"}
    sidecar = take.save(tmp_path / "take.wav")
    assert replay(sidecar, model=small).identical


def test_steering_from_a_sidecar_uses_the_vector_files_beside_it(small, home, tmp_path):
    vector = save_vector(vector_of(small, "push"), home / "push.safetensors")
    take = small.generate("calm", steer={str(vector): "raw:1.5"}, seconds=0.4, seed=1)
    steering = Steering.from_file(take.save(tmp_path / "takes" / "take.wav"))
    vector.unlink()
    again = small.generate("calm", steer=steering, seconds=0.4, seed=1)
    assert (again.codes == take.codes).all()
