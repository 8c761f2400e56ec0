"""Fingerprints change with every weight and every file that decides the output, and with nothing
else.
"""

import json
import os
import shutil
from pathlib import Path

import pytest
import safetensors.torch
import torch

from tonearm import fingerprint as module
from tonearm.files.cache_folder import CACHE_VARIABLE
from tonearm.fingerprint import fingerprint, weights_digest
from tonearm.loading import weight_files
from tonearm.musicgen.checkpoint import DECIDING_FILES, load_checkpoint

WEIGHTS = "model.safetensors"


@pytest.fixture
def folder(folder_of, tmp_path):
    return shutil.copytree(folder_of("small"), tmp_path / "mine")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Folder of the digests, with every size of weights stored, however recent they are."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(module, "STORED_FROM_BYTES", 0)
    monkeypatch.setattr(module, "SETTLED_NS", -(10**12))
    return tmp_path / "cache" / "weights"


def identify(folder: Path) -> str:
    return fingerprint(str(folder), DECIDING_FILES)


def edit_weights(folder: Path, change) -> None:
    tensors = safetensors.torch.load_file(folder / WEIGHTS)
    change(tensors)
    safetensors.torch.save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})


def edit_json(path: Path, change) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_a_model_has_the_fingerprint_of_its_files(folder):
    assert load_checkpoint(str(folder), "cpu").shape.fingerprint == identify(folder)


@pytest.mark.parametrize("position", [0, 1, -1])
@pytest.mark.parametrize("value", [float("nan"), 0.25])
def test_every_tensor_counts_at_every_position(folder, position, value):
    names = sorted(safetensors.torch.load_file(folder / WEIGHTS))
    seen = {identify(folder)}

    for name in names[::7]:

        def change(tensors, name=name):
            tensors[name] = tensors[name].clone()
            tensors[name].view(-1)[position % tensors[name].numel()] = value

        edit_weights(folder, change)  # each edit stays, so that every fingerprint is a new one
        seen.add(identify(folder))
    assert len(seen) == 1 + len(names[::7])


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("config.json", lambda c: c["audio_encoder"].update(upsampling_ratios=[4, 16])),
        ("config.json", lambda c: c["text_encoder"].update(layer_norm_epsilon=0.1)),
        ("config.json", lambda c: c["decoder"].update(activation_function="relu")),
        ("generation_config.json", lambda c: c.update(guidance_scale=2.5)),
        ("generation_config.json", lambda c: c.update(temperature=0.5)),
        ("tokenizer.json", lambda c: c["model"]["vocab"].update(folk=12, jazz=11)),
        ("tokenizer.json", lambda c: c.update(post_processor=None)),
        ("tokenizer_config.json", lambda c: c.update(padding_side="left")),
        ("tokenizer_config.json", lambda c: c.update(model_max_length=5)),
    ],
)
def test_every_deciding_setting_counts(folder, file, change):
    before = identify(folder)
    edit_json(folder / file, change)
    assert identify(folder) != before


def test_a_file_that_appears_or_is_gone_counts(folder):
    before = identify(folder)
    (folder / "special_tokens_map.json").write_text('{"eos_token": "a"}')
    with_map = identify(folder)
    (folder / "special_tokens_map.json").unlink()
    (folder / "generation_config.json").unlink()
    assert len({before, with_map, identify(folder)}) == 3


def test_the_form_of_the_files_does_not_count(folder):
    before = identify(folder)
    for file in ("config.json", "generation_config.json", "tokenizer.json"):
        content = json.loads((folder / file).read_text())
        content = {**dict(reversed(content.items())), "transformers_version": "5.99"}
        (folder / file).write_text(json.dumps(content, indent=7))
    tensors = safetensors.torch.load_file(folder / WEIGHTS)
    names = sorted(tensors)
    parts = {"b.safetensors": names[::2], "a.safetensors": names[1::2]}
    for part, held in parts.items():
        safetensors.torch.save_file({name: tensors[name] for name in held}, folder / part)
    owner = {name: part for part, held in parts.items() for name in held}
    (folder / f"{WEIGHTS}.index.json").write_text(json.dumps({"weight_map": owner}))
    (folder / WEIGHTS).unlink()
    assert identify(folder) == before


def test_pickled_weights_count_as_bytes(folder):
    tensors = safetensors.torch.load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    torch.save(tensors, folder / "pytorch_model.bin")
    before = identify(folder)
    next(iter(tensors.values())).view(-1)[3] += 1
    torch.save(tensors, folder / "pytorch_model.bin")
    assert identify(folder) != before


def test_the_digest_of_large_weights_is_stored(folder, cache, monkeypatch):
    files = weight_files(str(folder))
    first = weights_digest(files)
    monkeypatch.setattr(module, "_hash_weights", lambda files: pytest.fail("hashed again"))
    assert weights_digest(files) == first
    assert len(list(cache.iterdir())) == 1


def test_an_edit_that_keeps_size_and_time_is_seen(folder, cache):
    files = weight_files(str(folder))
    stat, first = files[0].stat(), weights_digest(files)
    content = bytearray(files[0].read_bytes())
    content[-1] ^= 1
    files[0].write_bytes(content)
    os.utime(files[0], ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert files[0].stat().st_mtime_ns == stat.st_mtime_ns
    assert weights_digest(files) != first


def test_weights_that_have_just_changed_are_not_stored(folder, cache, monkeypatch):
    monkeypatch.setattr(module, "SETTLED_NS", 10**12)
    weights_digest(weight_files(str(folder)))
    assert not cache.exists()


@pytest.mark.parametrize("content", [b"", b"\xff" * 64, b"0" * 63, b"x" * 64])
def test_a_damaged_entry_is_computed_again(folder, cache, content):
    files = weight_files(str(folder))
    first = weights_digest(files)
    (entry,) = cache.iterdir()
    entry.write_bytes(content)
    assert weights_digest(files) == first
    assert entry.read_text() == first


def test_a_cache_that_cannot_be_written_changes_nothing(folder, tmp_path, monkeypatch):
    expected = weights_digest(weight_files(str(folder)))
    monkeypatch.setattr(module, "STORED_FROM_BYTES", 0)
    monkeypatch.setattr(module, "SETTLED_NS", -(10**12))
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file"))
    assert weights_digest(weight_files(str(folder))) == expected
