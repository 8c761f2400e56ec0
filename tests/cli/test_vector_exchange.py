"""`tonearm vectors`: the listing, bundles, files of other programs, the hub."""

import json

import numpy as np
import pytest
import safetensors.torch
import torch

from tests.sharing.fake_hub import FakeHub
from tests.sharing.files import GLP, PLAIN, rows, write_directions
from tonearm.sharing import hub
from tonearm.steering import load_bundle, load_vector, save_vector
from tonearm.steering.library import bundled_vectors


@pytest.fixture
def mood(energy, folder):
    """A second vector beside energy.safetensors, without layer 0."""
    kept = {layer: 2 * one for layer, one in energy.directions.items() if layer > 0}
    vector = type(energy)(kept, energy.info.model_copy(update={"name": "mood", "best_layer": 1}))
    save_vector(vector, folder / "mood")
    return vector


def one_line(outcome) -> str:
    assert outcome.code == 2 and outcome.out == "" and outcome.err.count("\n") == 1
    return outcome.err


def test_without_a_command_vectors_are_listed(run, mood):
    named = json.loads(run("vectors", "energy.safetensors", "--json").out)
    assert named == json.loads(run("vectors", "list", "energy.safetensors", "--json").out)
    assert [one["steer"] for one in json.loads(run("vectors", ".", "--json").out)["vectors"]] == [
        "energy.safetensors", "mood.safetensors",
    ]  # fmt: skip
    assert len(json.loads(run("vectors", "--json").out)["vectors"]) == len(bundled_vectors())
    assert "tempo=+1" in run("vectors").out
    assert "bundle" in run("vectors", "--help").out


def test_a_file_with_the_name_of_a_command_is_given_with_its_folder(run, energy, folder):
    (folder / "bundle").mkdir()
    save_vector(energy, folder / "bundle" / "e")
    (only,) = json.loads(run("vectors", "./bundle", "--json").out)["vectors"]
    assert only["steer"] == "bundle/e.safetensors"


def test_a_bundle_is_made_listed_used_inspected_and_taken_apart(run, play, energy, mood, folder):
    made = run("vectors", "bundle", "energy.safetensors", "mood.safetensors", "-o", "pack")
    assert made.code == 0 and "wrote pack.safetensors with 2 vectors" in made.out
    found = load_bundle(folder / "pack.safetensors")
    assert [one.content_hash() for one in found.values()] == [
        energy.content_hash(), mood.content_hash(),
    ]  # fmt: skip
    listed = json.loads(run("vectors", "pack.safetensors", "--json").out)["vectors"]
    assert [one["steer"] for one in listed] == ["pack.safetensors#energy", "pack.safetensors#mood"]
    played = play("--steer", "pack.safetensors#energy=raw:1", "-o", "a.wav")
    assert played.code == 0, played.err
    assert play("--steer", "energy.safetensors=raw:1", "-o", "b.wav").code == 0
    codes = [json.loads((folder / f"{name}.json").read_text())["audio_sha256"] for name in "ab"]
    assert codes[0] == codes[1]
    assert one_line(play("--steer", "pack.safetensors#nope=raw:1")).endswith(
        "holds no vector 'nope'; there are energy, mood\n"
    )
    assert "pack.safetensors#NAME is one of them" in one_line(
        play("--steer", "pack.safetensors=raw:1")
    )
    apart = run("vectors", "unbundle", "pack.safetensors", "-o", "apart")
    assert apart.code == 0, apart.err
    for vector in (energy, mood):
        again = load_vector(folder / "apart" / f"{vector.name}.safetensors")
        assert again.info == vector.info and again.content_hash() == vector.content_hash()
    assert "exists already" in one_line(
        run("vectors", "unbundle", "pack.safetensors", "-o", "apart")
    )
    assert run("vectors", "unbundle", "pack.safetensors", "-o", "apart", "--force").code == 0


def test_a_bundle_is_made_of_members_bundles_and_bundled_names(run, mood, folder):
    run("vectors", "bundle", "energy.safetensors", "mood.safetensors", "-o", "pack")
    made = run("vectors", "bundle", "pack.safetensors#mood", "tempo", "-o", "two", "--json")
    assert list(json.loads(made.out)["content_hashes"]) == ["mood", "tempo"]
    whole = run("vectors", "bundle", "pack.safetensors", "brightness", "-o", "three")
    assert whole.code == 0
    assert list(load_bundle(folder / "three.safetensors")) == ["energy", "mood", "brightness"]
    clash = run("vectors", "bundle", "pack.safetensors", "mood.safetensors", "-o", "x")
    assert "two vectors are called 'mood'" in one_line(clash)
    assert "exists already" in one_line(run("vectors", "bundle", "tempo", "-o", "two"))
    assert "no steering vector at absent" in one_line(run("vectors", "bundle", "absent", "-o", "x"))
    assert not (folder / "x.safetensors").exists()


def test_a_calibrated_member_needs_a_file_of_its_own(run, mood, folder):
    run("vectors", "bundle", "mood.safetensors", "-o", "pack")
    done = run("calibrate", "pack.safetensors#mood", "--measure", "loudness", "--force")
    assert "is part of a bundle; name a file for the vector with -o" in one_line(done)
    assert not (folder / "pack.safetensors#mood.safetensors").exists()


def test_a_damaged_bundle_is_one_line_in_every_command(run, mood, folder):
    run("vectors", "bundle", "energy.safetensors", "-o", "pack")
    path = folder / "pack.safetensors"
    path.write_bytes(path.read_bytes()[:-3])
    for command in (
        ["vectors", "pack.safetensors"],
        ["vectors", "unbundle", "pack.safetensors"],
        ["vectors", "bundle", "pack.safetensors", "-o", "x"],
        ["inspect", "pack.safetensors"],
        ["inspect", "pack.safetensors#energy"],
    ):
        assert "cannot read pack.safetensors as safetensors" in one_line(run(*command))


def test_a_vector_is_exported_imported_and_makes_the_same_take(run, tiny, play, mood, folder):
    done = run("vectors", "export", "mood.safetensors", "--gguf", "mood.gguf", "--json")
    assert json.loads(done.out) == {
        "file": "mood.gguf", "mode": "add", "alpha": 1.0, "layers": [1, 2],
    }  # fmt: skip
    got = run("vectors", "import", "mood.gguf", "-o", "again", *tiny())
    assert got.code == 0, got.err
    assert "steer with again.safetensors=raw:1@add" in got.out
    assert load_vector(folder / "again.safetensors").content_hash() == mood.content_hash()
    for name in ("mood", "again"):
        assert play("--steer", f"{name}.safetensors=raw:1", "-o", f"{name}.wav").code == 0
    hashes = [
        json.loads((folder / f"{n}.json").read_text())["audio_sha256"] for n in ("mood", "again")
    ]
    assert hashes[0] == hashes[1]


def test_export_and_import_are_refused_in_one_line(run, tiny, mood, folder):
    for arguments, message in (
        (
            ["export", "energy.safetensors", "--gguf", "x.gguf"],
            "leave it out with --without-layer-0",
        ),
        (["export", "mood.safetensors", "--gguf", "x.bin"], "the ending is not .gguf"),
        (["export", "mood.safetensors", "--gguf", "x.gguf", "--mode", "turn"], "no mode 'turn'"),
        (["import", "mood.safetensors", "-o", "x", *tiny()], "is a vector of Tonearm already"),
        (["import", "x.pt", "-o", "x"], "pickled files can run code, and are never read"),
        (["import", "absent.gguf", "-o", "x"], "no file at absent.gguf"),
    ):
        assert message in one_line(run("vectors", *arguments))
    run("vectors", "bundle", "energy.safetensors", "mood.safetensors", "-o", "pack")
    several = run("vectors", "export", "pack.safetensors", "--gguf", "x.gguf")
    assert "is a bundle of 2 vectors; name one, such as pack.safetensors#energy" in one_line(
        several
    )
    assert not (folder / "x.gguf").exists() and not (folder / "x.safetensors").exists()


def test_the_printed_use_of_an_import_without_a_best_layer_works(run, tiny, play, folder):
    metadata = {**GLP, "glp.mode": "project", "glp.alpha_default": 0.5}
    unit = rows(2) / np.linalg.norm(rows(2), axis=1, keepdims=True)
    write_directions(folder / "x.gguf", metadata, {1: unit[0], 2: unit[1]})
    got = run("vectors", "import", "x.gguf", "-o", "calm", "--positive-label", "calm", *tiny())
    assert got.code == 0, got.err
    (folder / "steering.json").write_text(got.out[got.out.index("[{") :])
    played = play("--steering", "steering.json")
    assert played.code == 0, played.err
    assert "calm.safetensors raw +0.5 (calm): remove" in " ".join(played.out.split())
    added = play("--steer", "calm.safetensors=raw:1", "--force")
    assert "is for operator remove, as the file" in one_line(added)


@pytest.fixture
def foreign(folder):
    """One file of every kind, by the text that `inspect` shows."""
    given = rows(3)
    write_directions(folder / "plain.gguf", PLAIN, {1: given[1], 2: given[2]})
    write_directions(folder / "glp.gguf", {**GLP, "glp.alpha_default": 2.5}, {1: given[1]})
    tensors = {f"layer.{i}": torch.from_numpy(row) for i, row in enumerate(given)}
    safetensors.torch.save_file(tensors, folder / "layers.safetensors")
    np.save(folder / "matrix.npy", given)
    np.save(folder / "one.npy", given[0])
    directions = {"1": [given[1].tolist()]}
    content = {
        "model_type": "musicgen",
        "directions": directions,
        "meta": {"location": "layer_input"},
    }
    (folder / "x.svec").write_text(json.dumps(content))
    return {
        "plain.gguf": ("GGUF control vector", "needs --layers-from"),
        "glp.gguf": ("GLP file", "number N is layer N, counted from 0, as the file states"),
        "layers.safetensors": ("one tensor per layer", "needs --layers-from"),
        "matrix.npy": ("one row per layer", "row N is layer N"),
        "one.npy": ("one direction", "needs --layer"),
        "x.svec": ("AISteer360", "number N is layer N - 1"),
    }


def test_inspect_shows_every_kind_of_file_without_a_model(run, foreign, monkeypatch):
    def refuse(*arguments, **named):
        raise AssertionError("a model is loaded")

    monkeypatch.setattr("tonearm.model.load", refuse)
    for file, texts in foreign.items():
        shown = run("inspect", file)
        assert shown.code == 0, shown.err
        flat = " ".join(shown.out.split())
        assert all(text in flat for text in texts), shown.out
        assert max(map(len, shown.out.splitlines())) <= 80
        content = json.loads(run("inspect", file, "--json").out)
        assert content["kind"] in flat and content["width"] == 32 and content["norms"]
    assert json.loads(run("inspect", "glp.gguf", "--json").out)["alpha"] == 2.5


def test_inspect_shows_bundles_and_their_members(run, mood):
    run("vectors", "bundle", "energy.safetensors", "mood.safetensors", "-o", "pack")
    shown = run("inspect", "pack.safetensors")
    assert shown.code == 0 and max(map(len, shown.out.splitlines())) <= 80
    assert mood.content_hash()[:12] in shown.out
    content = json.loads(run("inspect", "pack.safetensors", "--json").out)["vectors"]
    assert content["mood"]["tensor_sha256"] == mood.tensor_sha256()
    member = json.loads(run("inspect", "pack.safetensors#mood", "--json").out)
    own = json.loads(run("inspect", "mood.safetensors", "--json").out)
    assert member == own and own["strength_unit"] == "raw"
    text = run("inspect", "pack.safetensors#mood").out
    assert text == run("inspect", "mood.safetensors").out
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("file", ["x.gguf", "x.npy", "x.svec", "x.safetensors", "p.safetensors#a"])
def test_inspect_of_absent_and_foreign_files_is_one_line(run, folder, file):
    one_line(run("inspect", file))
    (folder / file).write_bytes(b"something else")
    one_line(run("inspect", file))


@pytest.fixture
def api(monkeypatch) -> FakeHub:
    """A hub in memory in place of the network."""
    fake = FakeHub()
    monkeypatch.setattr(hub, "client", lambda: fake)
    return fake


def test_vectors_are_pushed_and_pulled(run, play, mood, api, folder):
    done = run("vectors", "push", "me/knobs", "mood.safetensors", "--private", "--tag", "v1",
               "--licence", "apache-2.0")  # fmt: skip
    assert done.code == 0, done.err
    assert "tonearm vectors pull me/knobs@v1" in done.out and api.private["me/knobs"]
    assert set(api.commits["me/knobs"][-1]) == {"mood.safetensors", "README.md"}
    got = run("vectors", "pull", "me/knobs@v1", "mood", "-o", "new")
    assert got.code == 0 and mood.content_hash()[:12] in got.out
    assert load_vector(folder / "new/mood.safetensors").content_hash() == mood.content_hash()
    assert play("--steer", "new/mood.safetensors=raw:1").code == 0
    assert "exists already" in one_line(run("vectors", "pull", "me/knobs@v1", "-o", "new"))
    content = json.loads(run("vectors", "pull", "me/knobs", "-o", "new", "--force", "--json").out)
    assert content["files"] == {"new/mood.safetensors": {"mood": mood.content_hash()}}
    listed = json.loads(run("vectors", "push", "me/knobs", "mood.safetensors", "--json").out)
    assert listed["files"] == ["mood.safetensors", "README.md"] and listed["tag"] is None


def test_faults_of_the_hub_are_one_line(run, mood, api):
    assert "no model repository me/none" in one_line(run("vectors", "pull", "me/none"))
    assert "write owner/name" in one_line(run("vectors", "pull", "knobs"))
    run("vectors", "push", "me/knobs", "mood.safetensors")
    assert "has no revision 'v9'" in one_line(run("vectors", "pull", "me/knobs@v9"))


def test_offline_is_one_line(run, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for command in (["pull", "me/knobs"], ["push", "me/knobs", "energy.safetensors"]):
        assert "HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is set" in one_line(run("vectors", *command))
