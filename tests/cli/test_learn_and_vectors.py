import json
import shlex

import pytest

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
    steered = play("--steer", "drive=raw:-1")
    assert steered.code == 0 and "drive raw -1 (idle)" in steered.out


@pytest.mark.parametrize(
    "output", [None, "my 'own' $(x), a=b@2.safetensors", "-n.safetensors", "new/d"]
)
def test_the_printed_command_works_in_a_shell_and_takes_the_learned_vector(
    run, folder, folder_of, output
):
    (folder / "check points").symlink_to(folder_of("melody"))
    arguments = ["--model", "check points", *(["-o", f"./{output}"] if output else [])]
    outcome = run(
        "learn", "energy", "--positive", "fast.txt", "--negative", "slow.txt", "--force", *arguments
    )
    assert outcome.code == 0, outcome.err
    command = shlex.split(outcome.out.splitlines()[-1])
    assert command[:2] == ["tonearm", "generate"]
    played = run(*command[1:], "--seconds", 0.2, "-o", "shown.wav")
    assert played.code == 0, played.err
    record = next(iter(json.loads((folder / "shown.json").read_text())["vectors"].values()))
    written = outcome.out.split("wrote ")[1].split("; use it")[0]
    assert record["content_hash"] == load_vector(folder / written).content_hash()


def test_the_printed_strength_on_pocket_is_small(run):
    outcome = run("learn", "energy", "--positive", "fast.txt", "--negative", "slow.txt", "--force")
    assert outcome.out.endswith("--steer energy.safetensors=raw:+0.05\n")


def test_a_name_of_a_bundled_vector_and_of_a_file_is_a_printed_choice(run):
    outcome = run("learn", "energy", "--positive", "fast.txt", "--negative", "slow.txt", "--force")
    assert outcome.code == 0
    by_name = run(
        "generate", "a folk tune", "--seconds", 0.4, "--steer", "energy=raw:0.1", "--force"
    )
    assert by_name.code == 0 and by_name.err == (
        "tonearm: warning: 'energy' is the bundled vector; for 'energy.safetensors', "
        "which has the same name, write energy.safetensors\n"
    )


def test_a_folder_called_pocket_is_a_printed_choice(run, folder, folder_of):
    (folder / "pocket").symlink_to(folder_of("melody"))
    bundled = run("generate", "a folk tune", "--seconds", 0.4)
    assert bundled.code == 0 and "'pocket' is the bundled checkpoint" in bundled.err
    own = run("generate", "a folk tune", "--seconds", 0.4, "--model", "./pocket", "-o", "own.wav")
    assert own.code == 0 and own.err == ""


@pytest.mark.parametrize("name", ["a=b", "a/b", "a@b", "a,b", " ", "\u200b", "a\x1b[2J", "x" * 300])
def test_a_name_that_steer_cannot_take_is_refused(run, name):
    outcome = run("learn", name, "--positive", "fast.txt", "--negative", "slow.txt")
    assert outcome.code == 2 and outcome.err.count("\n") == 1 and len(outcome.err) < 400


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


@pytest.fixture
def scenes(folder):
    """Eight prompts a side, enough for methods that hold some out."""
    nouns = ("piano", "guitar", "flute", "cello", "drums", "organ", "choir", "harp")
    for file, word in (("fast.txt", "fast"), ("slow.txt", "slow")):
        (folder / file).write_text("".join(f"{word} {noun}\n" for noun in nouns))


def test_a_probe_is_learned_and_shown_with_its_held_out_scores(run, tiny, scenes, play):
    outcome = learn(run, tiny, "--method", "ridge:1")
    assert outcome.code == 0, outcome.err
    shown = run("inspect", "drive.safetensors").out
    for text in (outcome.out, shown):
        assert "held-out auc 1.00 (95 % of permutations: up to 0." in text and "p = 0.0" in text
    assert "ridge:1 at residual" in shown
    statistics = json.loads(run("inspect", "drive.safetensors", "--json").out)["statistics"]
    assert statistics.keys() == {"best_auc", "null_auc", "p_value"}
    assert play("--steer", "drive=raw:1").code == 0


@pytest.mark.parametrize("method", ["pca", "rfm", "rfm:weighted", "mean-centred"])
def test_every_method_is_learned_by_its_name(run, tiny, scenes, play, method):
    outcome = learn(run, tiny, "--method", method, "--paired", "--json")
    assert outcome.code == 0, outcome.err
    content = json.loads(outcome.out)
    assert content["method"] == method
    assert {"split_half_cosine", "d_prime", "pair_cosine"} < set(content["scores"])
    assert ("variance_share" in content["scores"]) == (method == "pca")
    assert play("--steer", "drive=raw:1").code == 0


def test_without_a_negative_file_the_background_is_named(run, tiny, scenes, folder):
    outcome = run("learn", "drive", "--positive", "fast.txt", *tiny())
    assert outcome.code == 0, outcome.err
    for text in (
        "8 positive, 50 negative",
        "+ more, - background",
        "mean-centred, eos at residual",
    ):
        assert text in outcome.out
    shown = run("inspect", "drive.safetensors").out
    assert "+ more, - background" in shown and "mean-centred at residual" in shown
    labelled = run(
        *("learn", "drive", "--positive", "fast.txt", "--negative-label", "usual", "--force"),
        *("--method", "lda", "--json", *tiny()),
    )
    content = json.loads(labelled.out)
    assert (content["negative_label"], content["method"]) == ("usual", "lda")


def test_pairs_of_unequal_files_are_refused(run, tiny, folder):
    (folder / "slow.txt").write_text("a slow folk tune\n")
    outcome = learn(run, tiny, "--paired")
    assert outcome.code == 2 and outcome.err.count("\n") == 1
    assert "there are 2 positive and 1 negative prompts" in outcome.err
    alone = run("learn", "drive", "--positive", "fast.txt", "--paired", *tiny())
    assert alone.code == 2 and "paired needs a negative set" in alone.err


def test_heads_are_learned_shown_and_played_all_to_all(run, tiny, scenes, folder):
    arguments = ("--pooling", "mean", "--seconds", 0.3, "--method", "smitin", "--force")
    outcome = learn(run, tiny, *arguments)
    assert outcome.code == 0, outcome.err
    vector = load_vector(folder / "drive.safetensors")
    monitor, weights = vector.monitor, vector.info.head_scores["weight"]
    shown = run("inspect", "drive.safetensors").out
    for text in (outcome.out, shown):
        assert "smitin" in text and "at heads" in text and "held-out auc" in text
        assert f"{len(monitor)} heads, threshold {monitor.threshold:.3f}" in text
        table = text.split("best heads, ")[1].splitlines()
        assert table[0].strip() == "10 of 12"
        layer, head, *values = table[3].split()
        assert float(values[-1]) == weights[int(layer)][int(head)] == 1
    content = json.loads(run("inspect", "drive.safetensors", "--json").out)
    assert content["monitor"]["layers"] == monitor.layers.tolist()
    assert content["monitor"]["heads"] == monitor.heads.tolist()
    assert content["head_scores"]["weight"]["0"] == list(weights[0])
    command = shlex.split(outcome.out.splitlines()[-1])
    assert command[4] == "drive.safetensors=raw:+1@all-to-all"
    played = run(*command[1:], "--seconds", 0.2, "-o", "heads.wav")
    assert played.code == 0
    assert "each layer's own into layers 0..2, site heads" in " ".join(played.out.split())
    monitored = (*command[1:4], "drive.safetensors=raw:+1@all-to-all@monitor", *tiny())
    played = run(*monitored, "--seconds", 0.4, "-o", "loop.wav")
    assert played.code == 0 and "monitored, every 5 frames" in " ".join(played.out.split())
    (record,) = json.loads((folder / "loop.json").read_text())["monitored"]
    line = f"drive.safetensors raw +1 acted at {record['acted']:.0%} of frames"
    assert line in played.out and line in run("inspect", "loop.json").out
    refused = run(*command[1:4], "drive.safetensors=raw:+1", *tiny(), "--seconds", 0.2)
    assert refused.code == 2 and "set source_layer, or strategy all-to-all" in refused.err


def test_heads_that_read_no_music_have_no_monitor_which_is_said(run, tiny, scenes):
    outcome = learn(run, tiny, "--method", "iti:2", "--site", "heads")
    assert outcome.code == 0, outcome.err
    assert "none: pooling eos reads no music; use last or mean" in outcome.out
    assert "none: pooling eos" in run("inspect", "drive.safetensors").out
    assert json.loads(run("inspect", "drive.safetensors", "--json").out)["monitor"] is None


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("ridge:x", "takes a number"),
        ("magic", "use one of diffmean, "),
        ("lda", "needs 6 or more"),
        ("iti:0", "takes a number of heads"),
        ("smitin", "needs 6 or more"),
    ],
)
def test_an_impossible_method_is_one_line_and_writes_nothing(run, tiny, folder, method, message):
    outcome = learn(run, tiny, "--method", method)
    assert outcome.code == 2 and outcome.err.count("\n") == 1 and message in outcome.err
    assert not (folder / "drive.safetensors").exists()


def test_help_lists_the_registered_methods(run, monkeypatch):
    from tonearm.methods import base, usages

    monkeypatch.setitem(base._METHODS, "latest-of-all", base._METHODS["lda"])
    text = " ".join(run("learn", "--help").out.replace("│", " ").split())
    assert ", ".join(usages()) in text and "latest-of-all" in text


def test_vectors_lists_those_in_files_and_folders_and_skips_checkpoints(run, tiny, folder):
    (folder / "model.safetensors").write_bytes(b"something else")
    named = run("vectors", "energy.safetensors")
    assert named.code == 0 and "energy.safetensors=+1" in named.out
    assert "not calibrated" in named.out
    (only,) = json.loads(run("vectors", ".", "--json").out)["vectors"]
    assert only["steer"] == "energy.safetensors" and only["name"] == "energy"
    assert run("vectors", "model.safetensors").code == 2


def test_inspect_a_vector(run, energy, folder):
    shown = run("inspect", "energy.safetensors").out
    assert energy.content_hash() in shown and "diffmean at residual, pooling eos" in shown
    info = energy.info
    best = info.positive_projections[info.best_layer], info.negative_projections[info.best_layer]
    assert "mean h·r at layer {}: {:+.3g} (more), {:+.3g} (less)".format(
        info.best_layer, *best
    ) in (shown)
    content = json.loads(run("inspect", "energy.safetensors", "--json").out)
    assert content["positive_projections"] == {
        str(layer): value for layer, value in info.positive_projections.items()
    }
    assert content["norms"] == {str(layer): norm for layer, norm in energy.norms().items()}


def test_inspect_a_take_and_its_audio(run, play, folder):
    play("--steer", "energy=raw:+1.25", "-o", "a.wav")
    shown = run("inspect", "a.json").out
    assert (
        "a folk tune" in shown
        and "energy raw +1.25" in shown
        and "transformers" in shown
        and "spectral_centroid" in shown
    )
    assert json.loads(run("inspect", "a.json", "--json").out) == json.loads(
        (folder / "a.json").read_text()
    )
    audio = json.loads(run("inspect", "a.wav", "--json").out)
    assert audio["sample_rate"] == 1600 and audio["spectral_centroid"]["value"] > 0
    assert "mono" in run("inspect", "a.wav").out
