"""Loading of checkpoints: all variants, and refusal of folders that are not whole."""

import json
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from tests import checkpoints, foreign_code
from tests.checkpoints import VARIANTS
from tonearm import assets
from tonearm.errors import TonearmError
from tonearm.musicgen.checkpoint import load_checkpoint
from tonearm.musicgen.sampling import Sampling


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_loads_with_its_shapes(model_of, variant):
    c, shape = model_of(variant).checkpoint, VARIANTS[variant]
    assert (c.shape.layer_count, c.shape.width, c.shape.channels) == (
        shape.layers,
        shape.width,
        shape.channels,
    )
    assert c.shape.codebooks == 4 * shape.channels and c.shape.delay_frames == 3
    assert c.shape.text_in_prefix == (shape.family == "musicgen_melody") == c.shape.melody_trained
    assert (
        c.shape.frame_rate == checkpoints.FRAME_RATE
        and c.shape.sample_rate == 1600
        and c.bos == checkpoints.CODEBOOK
    )
    assert c.shape.window_seconds == 30 and c.shape.window_frames == 750
    assert not c.model.training and not any(p.requires_grad for p in c.model.parameters())


@pytest.mark.parametrize(
    ("max_length", "seconds"), [(100, 4), (110, 4), (2000, 30), (20, 30), (None, 30)]
)
def test_the_window_of_an_unknown_folder_is_its_max_length_in_whole_seconds(
    folder_of, tmp_path, max_length, seconds
):
    """transformers' default of 20 positions is shorter than a second, so it is ignored."""
    folder = shutil.copytree(folder_of("small"), tmp_path / "mine")
    file = folder / "generation_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"max_length": max_length}))
    assert load_checkpoint(str(folder), "cpu").shape.window_seconds == seconds


@pytest.mark.parametrize(
    ("config", "guidance", "temperature"),
    [({"guidance_scale": 2.0, "temperature": 0.8}, 2.0, 0.8), ({}, 3.0, 1.0)],
)
def test_default_sampling_is_that_of_the_generation_config(
    folder_of, tmp_path, config, guidance, temperature
):
    folder = shutil.copytree(folder_of("small"), tmp_path / "mine")
    file = folder / "generation_config.json"
    stored = json.loads(file.read_text())
    stored.pop("guidance_scale")
    file.write_text(json.dumps(stored | config))
    assert load_checkpoint(str(folder), "cpu").sampling == Sampling(guidance, temperature)


def test_a_copy_of_pocket_has_the_window_of_pocket(tmp_path):
    (tmp_path / "mine").symlink_to(assets.POCKET)
    assert (
        load_checkpoint(str(tmp_path / "mine"), "cpu").shape.window_seconds
        == load_checkpoint("pocket", "cpu").shape.window_seconds
    )


def test_the_fingerprint_depends_on_the_weights_and_not_on_the_dtype(folder_of, tmp_path):
    folder = str(folder_of("melody"))
    wide = load_checkpoint(folder, "cpu", "float32")
    narrow = load_checkpoint(folder, "cpu", "bfloat16")
    assert wide.shape.fingerprint == narrow.shape.fingerprint and len(wide.shape.fingerprint) == 16
    assert (wide.dtype, narrow.dtype) == (torch.float32, torch.bfloat16)
    others = {
        load_checkpoint(str(folder_of(variant)), "cpu").shape.fingerprint
        for variant in ("small", "medium")
    }
    reseeded = checkpoints.save(VARIANTS["melody"], tmp_path / "reseeded", seed=1)
    assert (
        len(
            {
                wide.shape.fingerprint,
                *others,
                load_checkpoint(str(reseeded), "cpu").shape.fingerprint,
            }
        )
        == 4
    )


def test_a_checkpoint_stored_in_float16_loads_in_the_given_dtype(folder_of, tmp_path):
    stored = load_checkpoint(str(folder_of("small")), "cpu")
    half = transformers.MusicgenForConditionalGeneration.from_pretrained(
        folder_of("small"), dtype=torch.float16
    )
    half.save_pretrained(tmp_path / "half")
    stored.tokenizer.save_pretrained(tmp_path / "half")
    wide, narrow = (
        load_checkpoint(str(tmp_path / "half"), "cpu", dtype) for dtype in (None, "float16")
    )
    assert (wide.dtype, narrow.dtype) == (torch.float32, torch.float16)
    assert wide.shape.fingerprint == narrow.shape.fingerprint


def test_the_fingerprint_does_not_depend_on_the_folder(folder_of, tmp_path):
    shutil.copytree(folder_of("small"), tmp_path / "moved")
    moved = load_checkpoint(str(tmp_path / "moved"), "cpu")
    assert (
        moved.shape.fingerprint == load_checkpoint(str(folder_of("small")), "cpu").shape.fingerprint
    )
    assert moved.shape.public_name == "moved"
    released = replace(moved.shape, name="facebook/musicgen-small")
    assert released.public_name == "facebook/musicgen-small"


def refused(name: str, **settings: str) -> str:
    with pytest.raises(TonearmError) as error:
        load_checkpoint(name, **{"device": "cpu"} | settings)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    "name", ["musicgen-small", "./nowhere", "/nowhere/at/all", "~/x", "a/b/c", ""]
)
def test_an_unknown_name_is_refused(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert repr(name) in refused(name)


def test_a_folder_that_is_not_musicgen_is_refused(tmp_path):
    assert "cannot load checkpoint" in refused(str(tmp_path))
    transformers.T5Config().save_pretrained(tmp_path)
    assert "is a t5 checkpoint, not MusicGen" in refused(str(tmp_path))
    (tmp_path / "config.json").write_text("{ not json")
    assert "config.json" in refused(str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "no_such_model"}))
    assert "cannot load checkpoint" in refused(str(tmp_path))


@pytest.mark.parametrize(
    "damage", ["weights absent", "weights truncated", "tokenizer absent", "widths differ"]
)
def test_a_damaged_folder_is_refused(folder_of, tmp_path, damage):
    folder = tmp_path / "damaged"
    shutil.copytree(folder_of("small"), folder)
    weights = folder / "model.safetensors"
    if damage == "weights absent":
        weights.unlink()
    elif damage == "weights truncated":
        weights.write_bytes(weights.read_bytes()[:5000])
    elif damage == "tokenizer absent":
        for file in folder.glob("tokenizer*"):
            file.unlink()
    else:
        config = json.loads((folder / "config.json").read_text())
        config["decoder"]["hidden_size"] = 64
        (folder / "config.json").write_text(json.dumps(config))
    expected = {
        "tokenizer absent": "has no tokenizer",
        "widths differ": "of another shape (decoder.lm_heads.0.weight",
    }
    assert expected.get(damage, "cannot load checkpoint") in refused(str(folder))


Tensors = dict[str, torch.Tensor]
EXAMPLE = "decoder.model.decoder.layers.1.fc1.weight"


def with_tensors(folder: Path, target: Path, change: Callable[[Tensors], Tensors]) -> str:
    """Copy a checkpoint with changed tensors."""
    shutil.copytree(folder, target)
    file = target / "model.safetensors"
    save_file(change(load_file(file)), file, {"format": "pt"})
    return str(target)


@pytest.mark.parametrize("variant", ["small", "melody"])
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lambda t: {k: v for k, v in t.items() if ".layers.1.fc1" not in k},
            [f"1 missing ({EXAMPLE})"],
        ),
        (
            lambda t: {k: v for k, v in t.items() if not k.startswith("audio_encoder")},
            ["missing (audio_encoder."],
        ),
        (
            lambda t: {k: v for k, v in t.items() if "shared" not in k},
            ["text_encoder.shared.weight"],
        ),
        (
            lambda t: {f"module.{k}": v for k, v in t.items()},
            ["(module.audio_enc", "remove 'module.'"],
        ),
        (
            lambda t: {f"_orig_mod.{k}": v for k, v in t.items()},
            ["(_orig_mod.audio_enc", "remove '_orig_mod.'"],
        ),
        (
            lambda t: {
                k.replace("decoder.model.", "decoder._orig_mod.model."): v for k, v in t.items()
            },
            ["(decoder._orig_mod.model.", "remove '_orig_mod.'"],
        ),
        (lambda t: t | {"foreign.weight": torch.zeros(2)}, ["1 unexpected (foreign.weight)"]),
        (
            lambda t: t | {EXAMPLE.replace(".1.", ".3."): t[EXAMPLE].clone()},
            ["1 unexpected (decoder.model.decoder.layers.3"],
        ),
        (lambda t: t | {EXAMPLE: torch.zeros(3, 32)}, [f"1 of another shape ({EXAMPLE})"]),
    ],
)
def test_missing_unexpected_and_mismatched_tensors_are_refused(
    folder_of, tmp_path, variant, change, expected
):
    message = refused(with_tensors(folder_of(variant), tmp_path / "changed", change))
    assert all(part in message for part in [*expected, "`save_pretrained`"])


def test_a_configuration_with_fewer_layers_than_the_weights_is_refused(folder_of, tmp_path):
    folder = shutil.copytree(folder_of("small"), tmp_path / "fewer")
    config = json.loads((folder / "config.json").read_text())
    config["decoder"]["num_hidden_layers"] = 2
    (folder / "config.json").write_text(json.dumps(config))
    assert "unexpected (decoder.model.decoder.layers.2." in refused(str(folder))


def released(tensors: Tensors) -> Tensors:
    """Names and additional tensors of the released checkpoints."""
    old = {
        "parametrizations.weight.original0": "weight_g",
        "parametrizations.weight.original1": "weight_v",
    }
    for new_name, old_name in old.items():
        tensors = {key.replace(new_name, old_name): value for key, value in tensors.items()}
    tensors["text_encoder.encoder.embed_tokens.weight"] = tensors[
        "text_encoder.shared.weight"
    ].clone()
    return tensors | {"decoder.model.decoder.embed_positions.weights": torch.zeros(2048, 32)}


@pytest.mark.parametrize("variant", ["small", "melody"])
def test_tensor_names_of_the_released_checkpoints_are_accepted(folder_of, tmp_path, variant):
    folder = folder_of(variant)
    loaded = load_checkpoint(with_tensors(folder, tmp_path / "released", released), "cpu")
    assert loaded.shape.fingerprint == load_checkpoint(str(folder), "cpu").shape.fingerprint


@pytest.mark.parametrize("damaged", [False, True])
def test_sharded_weights_are_checked_too(folder_of, tmp_path, damaged):
    model = load_checkpoint(str(folder_of("small")), "cpu").model
    shutil.copytree(
        folder_of("small"), tmp_path / "shards", ignore=shutil.ignore_patterns("*.safetensors")
    )
    model.save_pretrained(tmp_path / "shards", max_shard_size="50KB")
    if not damaged:
        assert load_checkpoint(str(tmp_path / "shards"), "cpu").shape.layer_count == 3
        return
    index = tmp_path / "shards" / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    shard = tmp_path / "shards" / content["weight_map"].pop(EXAMPLE)
    index.write_text(json.dumps(content))
    save_file(
        {key: value for key, value in load_file(shard).items() if key != EXAMPLE},
        shard,
        {"format": "pt"},
    )
    assert f"1 missing ({EXAMPLE})" in refused(str(tmp_path / "shards"))


def test_code_named_in_a_config_is_not_run(folder_of, tmp_path, monkeypatch):
    questions = foreign_code.answer_yes(monkeypatch)
    foreign = shutil.copytree(folder_of("small"), tmp_path / "foreign")
    foreign_code.name_code_in_config(foreign, tmp_path / "marker")
    assert "custom code" in refused(str(foreign))
    known = shutil.copytree(folder_of("small"), tmp_path / "known")
    foreign_code.name_code_in_config(known, tmp_path / "marker", model_type=None)
    assert "custom code" in refused(str(known))
    assert not questions and not (tmp_path / "marker").exists()


def test_code_named_in_a_tokenizer_is_not_run(folder_of, tmp_path, monkeypatch):
    questions = foreign_code.answer_yes(monkeypatch)
    folder = shutil.copytree(folder_of("small"), tmp_path / "foreign")
    foreign_code.name_code_in_tokenizer(folder, tmp_path / "marker")
    assert "custom code" in refused(str(folder))
    assert not questions and not (tmp_path / "marker").exists()


def test_code_is_not_run_after_yes_at_a_terminal(tmp_path):
    folder = tmp_path / "foreign"
    folder.mkdir()
    foreign_code.name_code_in_config(folder, tmp_path / "marker")
    script = (
        "from tonearm.musicgen.checkpoint import load_checkpoint; "
        f"load_checkpoint({str(folder)!r}, 'cpu')"
    )
    ours, theirs = pty.openpty()
    os.write(ours, b"y\n" * 5)
    environment = os.environ | {"HF_MODULES_CACHE": str(tmp_path / "modules"), "CI": ""}
    run = subprocess.run(
        [sys.executable, "-c", script],
        stdin=theirs,
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
    )
    os.close(ours)
    os.close(theirs)
    assert "TonearmError: cannot load checkpoint" in run.stderr
    assert "[y/N]" not in run.stdout and not (tmp_path / "marker").exists()


def test_code_in_pickled_weights_is_not_run(folder_of, tmp_path):
    folder = shutil.copytree(folder_of("small"), tmp_path / "pickled")
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(tensors, folder / "pytorch_model.bin")
    assert load_checkpoint(str(folder), "cpu").shape.layer_count == 3
    torch.save(
        {**tensors, "payload": foreign_code.Payload(tmp_path / "marker")},
        folder / "pytorch_model.bin",
    )
    assert "save them as safetensors" in refused(str(folder))
    assert not (tmp_path / "marker").exists()


def test_an_attention_kernel_of_the_hub_is_refused(folder_of, tmp_path):
    folder = shutil.copytree(folder_of("small"), tmp_path / "kernel")
    config = json.loads((folder / "config.json").read_text())
    config["decoder"]["attn_implementation"] = "somebody/kernel"
    (folder / "config.json").write_text(json.dumps(config))
    assert "'somebody/kernel'" in refused(str(folder))


def test_a_device_beyond_those_of_the_machine_is_refused(folder_of, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert "this machine has cuda:0 to cuda:1" in refused(str(folder_of("small")), device="cuda:2")


def test_a_device_without_room_for_the_weights_is_one_line(folder_of, monkeypatch):
    def full(*_arguments, **_options):
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 2 GiB")

    monkeypatch.setattr(torch.nn.Module, "to", full)
    assert "choose another device, or a smaller dtype" in refused(str(folder_of("small")))


def test_an_unreachable_hub_gives_one_line(monkeypatch):
    def offline(*_args, **_kwargs):
        raise OSError("We couldn't connect\nto the hub")

    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", offline)
    assert "We couldn't connect" in refused("facebook/musicgen-small")


def test_an_unavailable_dtype_or_device_is_refused(folder_of):
    folder = str(folder_of("small"))
    assert "use one of float32, bfloat16, float16, int8" in refused(folder, dtype="int4")
    for device in ("tpu", "", "cpu:x", *(() if torch.cuda.is_available() else ("cuda", "cuda:1"))):
        assert repr(device) in refused(folder, device=device)
