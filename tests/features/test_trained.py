"""Files of autoencoders."""

import json
import struct

import pytest
import safetensors.torch
import torch

from tests.features.planted import autoencoder_of
from tonearm.errors import TonearmError
from tonearm.features.autoencoder import encode
from tonearm.features.trained import (
    METADATA_KEY,
    is_autoencoder,
    load_autoencoder,
    save_autoencoder,
)


@pytest.fixture
def trained(melody):
    return autoencoder_of(melody.shape)


@pytest.fixture
def path(trained, tmp_path):
    return save_autoencoder(trained, tmp_path / "a.safetensors")


def rewritten(path, change):
    """The file with changed tensors and metadata; the digest is that of the original."""
    with safetensors.safe_open(path, framework="pt") as file:
        metadata = dict(file.metadata())
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    change(tensors, metadata)
    path.write_bytes(safetensors.torch.save(tensors, metadata))
    return path


def test_a_float16_file_is_half_as_large_and_encodes_alike(trained, path, tmp_path):
    half = save_autoencoder(trained, tmp_path / "half.safetensors", "float16")
    assert half.stat().st_size < 0.7 * path.stat().st_size
    x = torch.randn(200, trained.info.width, generator=torch.Generator().manual_seed(0))
    exact, rounded = (encode(one.weights, x) for one in (trained, load_autoencoder(half)))
    assert (exact - rounded).abs().mean() < 2e-3 * exact.max()


def test_a_file_is_known_by_its_metadata(path, tmp_path):
    assert is_autoencoder(path)
    other = tmp_path / "other.safetensors"
    other.write_bytes(safetensors.torch.save({"x": torch.zeros(1)}))
    assert not is_autoencoder(other) and not is_autoencoder(tmp_path / "absent.safetensors")
    with pytest.raises(TonearmError, match="is a safetensors file but no autoencoder"):
        load_autoencoder(other)


def test_an_absent_file_and_a_wrong_ending_are_refused(trained, tmp_path):
    with pytest.raises(TonearmError, match="no autoencoder at"):
        load_autoencoder(tmp_path / "absent.safetensors")
    with pytest.raises(TonearmError, match=r"ends in \.safetensors"):
        save_autoencoder(trained, tmp_path / "a.pt")
    with pytest.raises(TonearmError, match="dtype 'int8' is not possible"):
        save_autoencoder(trained, tmp_path / "a.safetensors", "int8")


@pytest.mark.parametrize("size", [10, 200, -40])
def test_a_truncated_file_is_refused(path, size):
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(TonearmError, match="cannot load"):
        load_autoencoder(path)


def test_nan_is_refused(path):
    def change(tensors, metadata):
        tensors["encoder"][3, 4] = float("nan")

    with pytest.raises(TonearmError, match="encoder holds NaN or infinite values"):
        load_autoencoder(rewritten(path, change))


def test_changed_weights_are_refused(path):
    def change(tensors, metadata):
        tensors["encoder_bias"][3] += 1

    with pytest.raises(TonearmError, match="do not match the stored digest"):
        load_autoencoder(rewritten(path, change))


def test_columns_of_another_length_are_refused(path):
    def change(tensors, metadata):
        tensors["decoder"] *= 2

    with pytest.raises(TonearmError, match="not of unit length"):
        load_autoencoder(rewritten(path, change))


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors, metadata: tensors.pop("peaks"),
        lambda tensors, metadata: tensors.update(encoder=tensors["encoder"][:-1].clone()),
        lambda tensors, metadata: tensors.update(shares=tensors["shares"].double()),
        lambda tensors, metadata: tensors.update(more=torch.zeros(1)),
    ],
)
def test_other_tensors_are_refused(path, change):
    with pytest.raises(TonearmError, match="tensors do not match its header"):
        load_autoencoder(rewritten(path, change))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("threshold", -1, "threshold"),
        ("layer", 7, "layer 7 is outside 0..2"),
        ("features", 0, "features"),
        ("site", "elsewhere", "site"),
        ("format", 2, "format"),
        ("scale", float("nan"), "scale"),
    ],
)
def test_impossible_provenance_is_refused(path, key, value, message):
    def change(tensors, metadata):
        content = json.loads(metadata[METADATA_KEY])
        metadata[METADATA_KEY] = json.dumps({**content, key: value})

    with pytest.raises(TonearmError, match=message):
        load_autoencoder(rewritten(path, change))


def test_a_header_of_a_huge_length_is_refused(path):
    content = bytearray(path.read_bytes())
    content[:8] = struct.pack("<Q", 2**62)
    path.write_bytes(content)
    with pytest.raises(TonearmError, match="cannot load"):
        load_autoencoder(path)


def test_another_checkpoint_is_refused(trained, model_of):
    trained.check_model(model_of("melody").shape)
    with pytest.raises(TonearmError, match=r"was trained on .*, not on"):
        trained.check_model(model_of("small").shape)
