import json

from tonearm.steering import load_vector


def learn(run, tiny, *more):
    return run("learn", "drive", "--positive", "fast.txt", "--negative", "slow.txt", *tiny(), *more)


def test_learn_saves_a_vector_that_generate_takes(run, tiny, play, folder):
    outcome = learn(run, tiny, "--positive-label", "driving", "--negative-label", "idle")
    assert outcome.code == 0
    vector = load_vector(folder / "drive.safetensors")
    assert (vector.info.positive_label, vector.info.negative_label) == ("driving", "idle")
    (best,) = [line for line in outcome.out.splitlines() if line.endswith("best")]
    assert best.split()[0] == str(vector.info.best_layer)
    assert "--steer drive=+1" in outcome.out
    steered = play("--steer", "drive=-1")
    assert steered.code == 0 and "drive -1 (idle)" in steered.out


def test_learn_into_another_file_with_json(run, tiny, folder):
    outcome = learn(
        run,
        tiny,
        "-o",
        "new/drive",
        "--json",
        "--site",
        "heads",
        "--pooling",
        "mean",
        "--seconds",
        0.4,
    )
    content = json.loads(outcome.out)
    vector = load_vector(folder / "new/drive.safetensors")
    assert (
        content["file"] == "new/drive.safetensors"
        and content["content_hash"] == vector.content_hash()
    )
    assert (vector.info.site, vector.info.pooling) == ("heads", "mean")


def test_vectors_lists_those_in_files_and_folders_and_skips_checkpoints(run, tiny, folder):
    (folder / "model.safetensors").write_bytes(b"something else")
    named = run("vectors", "energy.safetensors")
    assert named.code == 0 and "separation" in named.out
    (only,) = json.loads(run("vectors", ".", "--json").out)["vectors"]
    assert only["steer"] == "energy.safetensors" and only["name"] == "energy"
    assert run("vectors", "model.safetensors").code == 2


def test_inspect_a_vector(run, energy, folder):
    shown = run("inspect", "energy.safetensors").out
    assert energy.content_hash() in shown and "diffmean at residual, pooling eos" in shown
    content = json.loads(run("inspect", "energy.safetensors", "--json").out)
    assert content["norms"] == {str(layer): norm for layer, norm in energy.norms().items()}


def test_inspect_a_take_and_its_audio(run, play, folder):
    play("--steer", "energy=+1.25", "-o", "a.wav")
    shown = run("inspect", "a.json").out
    assert (
        "a folk tune" in shown
        and "energy +1.25" in shown
        and "transformers" in shown
        and "spectral_centroid" in shown
    )
    assert json.loads(run("inspect", "a.json", "--json").out) == json.loads(
        (folder / "a.json").read_text()
    )
    audio = json.loads(run("inspect", "a.wav", "--json").out)
    assert audio["sample_rate"] == 1600 and audio["spectral_centroid"]["value"] > 0
    assert "mono" in run("inspect", "a.wav").out
