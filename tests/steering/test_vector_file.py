"""Files of steering vectors: exact, written whole, refused when damaged."""

import errno
import hashlib
import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

from tests.steering.vectors import random_vector, scales_of
from tonearm.errors import TonearmError
from tonearm.steering import SteeringVector, load_vector, save_vector
from tonearm.steering.library import bundled_vectors


def metadata_of(path: Path) -> dict[str, str]:
    with safetensors.safe_open(path, framework="pt") as file:
        return dict(file.metadata())


def rewrite(path: Path, tensors=None, **changes: str | None) -> None:
    """Write the file with other tensors or metadata; None removes a key."""
    metadata = {
        key: value for key, value in (metadata_of(path) | changes).items() if value is not None
    }
    safetensors.torch.save_file(
        tensors or safetensors.torch.load_file(path), path, metadata=metadata
    )


@pytest.fixture
def file(tmp_path) -> Path:
    return save_vector(random_vector(), tmp_path / "v.safetensors")


def test_a_round_trip_is_exact(tmp_path):
    vector = random_vector(
        site="heads",
        method="pca",
        pooling="mean",
        positive_label="schnell — “fast”",
        negative_label="12",
        positive_count=3,
        data_hash="007",
        best_layer=2,
        activation_norms={0: 1.5, 2: 0.1},
        positive_projections={0: 0.75, 2: -0.1},
        negative_projections={0: -3e-6},
        library_version="1e5",
        scores={"separation": {0: 0.25, 1: 1 / 3}},
        statistics={"best_auc": 0.9, "p_value": 1 / 201},
        frame_scales=scales_of(3).model_copy(update={"protocol": "50 takes of 10 s"}),
    )
    directions = {0: vector[0], 2: torch.tensor([-0.0, 1e-45, 3.4e38, *[0.1] * 5])}
    vector = SteeringVector(directions, vector.info.model_copy(update={"seed": 9}))
    again = load_vector(save_vector(vector, tmp_path / "deep" / "v"))
    assert (
        again.info == vector.info
        and again.layers == (0, 2)
        and again.content_hash() == vector.content_hash()
    )
    assert all(
        torch.equal(again[i].view(torch.int32), vector[i].view(torch.int32)) for i in vector.layers
    )
    bare = random_vector(best_layer=None)  # seed and best layer are null
    assert load_vector(save_vector(bare, tmp_path / "bare")).info == bare.info


def test_the_file_is_safetensors_with_the_documented_tensors_and_metadata(file):
    assert sorted(safetensors.torch.load_file(file)) == ["layer.0", "layer.1", "layer.2"]
    metadata = metadata_of(file)
    assert (
        metadata["tonearm_format"] == "5"
        and metadata["checkpoint"] == "toy"
        and metadata["site"] == "residual"
    )


def test_a_file_of_format_3_has_no_projections_and_keeps_its_hash(file):
    before = load_vector(file)
    rewrite(file, tonearm_format="3", positive_projections=None, negative_projections=None)
    again = load_vector(file)
    assert again.info.positive_projections == again.info.negative_projections == {}
    assert again.content_hash() == before.content_hash()


def test_a_file_of_format_4_has_no_frame_scales_and_keeps_its_hash(tmp_path):
    file = save_vector(random_vector(frame_scales=scales_of(3)), tmp_path / "v")
    before = load_vector(file)
    rewrite(file, tonearm_format="4", frame_scales=None)
    again = load_vector(file)
    assert again.info.frame_scales is None and again.content_hash() == before.content_hash()


@pytest.mark.parametrize("name", bundled_vectors())
def test_bundled_vectors_have_the_frame_scales_of_their_checkpoint(name):
    info = load_vector(bundled_vectors()[name]).info
    assert list(info.frame_scales.means) == list(range(info.layer_count))
    assert min(info.frame_scales.deviations.values()) > 0
    assert info.frame_scales.protocol.startswith(f"pocket {info.fingerprint}, 50 takes of 10 s")


def test_a_missing_suffix_is_added(tmp_path):
    assert save_vector(random_vector(), tmp_path / "v1.5").name == "v1.5.safetensors"
    assert save_vector(random_vector(), tmp_path / "v.safetensors").name == "v.safetensors"


def test_a_truncated_file_is_refused(file):
    content = file.read_bytes()
    for length in (0, 4, 100, len(content) - 1):
        file.write_bytes(content[:length])
        with pytest.raises(TonearmError, match="cannot read"):
            load_vector(file)


def test_other_files_are_refused_as_vectors(tmp_path):
    with pytest.raises(TonearmError, match="no steering vector at"):
        load_vector(tmp_path / "absent.safetensors")
    with pytest.raises(TonearmError, match="no steering vector at"):
        load_vector(tmp_path)
    foreign = tmp_path / "foreign.safetensors"
    safetensors.torch.save_file({"weight": torch.ones(3)}, foreign)
    with pytest.raises(TonearmError, match="not a Tonearm steering vector"):
        load_vector(foreign)
    text = tmp_path / "text.safetensors"
    text.write_text("not safetensors at all")
    with pytest.raises(TonearmError, match="cannot read"):
        load_vector(text)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tonearm_format": "6"}, "format 6, this Tonearm reads up to 5"),
        ({"tonearm_format": "new"}, "update Tonearm"),
        ({"tonearm_format": "²"}, "update Tonearm"),
        ({"width": "wide"}, "cannot read width of .* as JSON"),
        ({"width": "9"}, "shape"),
        ({"name": None}, "name"),
        ({"site": "elsewhere"}, "site"),
        ({"mood": "1"}, "unknown key"),
        ({"fingerprint": "0" * 16}, "damaged"),
        ({"content_hash": None}, "damaged"),
        ({"scores": "3"}, "scores"),
    ],
)
def test_wrong_metadata_is_refused_in_one_line(file, changes, message):
    rewrite(file, **changes)
    with pytest.raises(TonearmError, match=message) as error:
        load_vector(file)
    assert "\n" not in str(error.value)


def test_changed_directions_are_refused(file):
    tensors = safetensors.torch.load_file(file)
    rewrite(file, tensors | {"layer.1": torch.nextafter(tensors["layer.1"], torch.tensor(9.0))})
    with pytest.raises(TonearmError, match="damaged"):
        load_vector(file)
    rewrite(file, {"weight": torch.ones(8)})
    with pytest.raises(TonearmError, match="the tensor 'weight', which is no layer"):
        load_vector(file)


def test_a_flipped_bit_anywhere_is_refused_or_harmless(file):
    """Harmless: a bit in a descriptive text, such as a label."""
    content, vector = file.read_bytes(), load_vector(file)
    for place in range(0, len(content), 7):
        damaged = bytearray(content)
        damaged[place] ^= 1
        file.write_bytes(damaged)
        try:
            assert load_vector(file).content_hash() == vector.content_hash()
        except TonearmError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("step", ["write_bytes", "replace"])
@pytest.mark.parametrize(
    "failure",
    [OSError(errno.ENOSPC, "No space left"), OSError(errno.EIO, "I/O"), KeyboardInterrupt()],
)
def test_a_failed_write_keeps_the_old_file(file, monkeypatch, step, failure):
    before = file.read_bytes()
    real = Path.write_bytes

    def fail(self, *content):
        if step == "write_bytes":
            real(self, content[0][:50])
        raise failure

    monkeypatch.setattr(Path, step, fail)
    expected = KeyboardInterrupt if isinstance(failure, KeyboardInterrupt) else TonearmError
    with pytest.raises(expected):
        save_vector(random_vector(seed=1), file)
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_metadata_is_strings_of_strict_json(file):
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    for key in ("width", "scores", "activation_norms", "seed"):
        json.loads(metadata_of(file)[key], parse_constant=refuse)


def test_a_file_larger_than_any_vector_is_refused_before_its_tensors_are_read(tmp_path):
    """A header for 8 GiB of zeros, in a sparse file."""
    path, size = tmp_path / "huge.safetensors", 2**33
    header = {
        "__metadata__": {"tonearm_format": "1"},
        "layer.0": {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]},
    }
    content = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(content).to_bytes(8, "little") + content)
        file.truncate(8 + len(content) + size)
    with pytest.raises(TonearmError, match="is larger than 256 MiB, the limit of a vector"):
        load_vector(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"best_layer": "3"}, "best_layer names layer 3, which is outside 0..2"),
        ({"best_layer": "-1"}, "best_layer"),
        ({"scores": '{"separation": {"7": 1.0}}'}, "scores.separation names layer 7"),
        ({"activation_norms": '{"0": NaN}'}, "finite"),
        ({"positive_projections": '{"3": 1.0}'}, "positive_projections names layer 3"),
        ({"negative_projections": '{"0": Infinity}'}, "finite"),
        ({"frame_scales": '{"means": {"0": 1}}'}, "frame_scales.deviations"),
        (
            {"frame_scales": '{"means": {"3": 1}, "deviations": {"3": 1}}'},
            "frame_scales names layer 3",
        ),
        (
            {"frame_scales": '{"means": {"0": NaN}, "deviations": {"0": 1}}'},
            "finite",
        ),
        ({"positive_count": "-1"}, "positive_count"),
        ({"negative_count": "1e300"}, "negative_count"),
        ({"width": "1000000000"}, "width"),
        ({"layer_count": "1000000000"}, "layer_count"),
        ({"layer_count": "9" * 5000}, "cannot read layer_count of .* as JSON"),
        ({"tonearm_format": "9" * 5000}, "update Tonearm"),
        ({"scores": "[" * 100_000}, "nested too deeply"),
    ],
)
def test_numbers_outside_their_ranges_are_refused_by_field(file, changes, message):
    rewrite(file, **changes)
    with pytest.raises(TonearmError, match=message) as error:
        load_vector(file)
    said = str(error.value)
    assert "\n" not in said and str(file) in said and len(said) < 500


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.int32, torch.bool])
def test_directions_of_another_type_are_refused(file, dtype):
    tensors = safetensors.torch.load_file(file)
    rewrite(file, tensors | {"layer.1": tensors["layer.1"].to(dtype)})
    with pytest.raises(TonearmError, match=r"layer\.1 is of type .*, not float32"):
        load_vector(file)


@pytest.mark.parametrize("path", [".", "..", "/"])
def test_a_path_without_a_file_name_is_refused(path):
    with pytest.raises(TonearmError, match="name a file in it"):
        save_vector(random_vector(), path)


def test_the_hash_of_the_tensors_is_of_their_bytes_in_the_order_of_the_layers(file):
    vector = load_vector(file)
    content = b"".join(vector[layer].numpy().astype("<f4").tobytes() for layer in vector.layers)
    assert vector.tensor_sha256() == hashlib.sha256(content).hexdigest()
    assert metadata_of(file)["tensor_sha256"] == vector.tensor_sha256()
    other = SteeringVector(vector.directions, vector.info.model_copy(update={"site": "heads"}))
    assert other.tensor_sha256() == vector.tensor_sha256()
    assert other.content_hash() != vector.content_hash()
    rewrite(file, tensor_sha256="0" * 64)
    with pytest.raises(TonearmError, match="do not match the stored tensor sha256"):
        load_vector(file)


def test_a_file_of_format_4_has_raw_strengths_and_no_operator(file):
    before = load_vector(file)
    changed = dict.fromkeys(("strength_unit", "operator", "tensor_sha256"))
    rewrite(file, tonearm_format="4", **changed)
    again = load_vector(file)
    assert again.info == before.info and again.content_hash() == before.content_hash()
    assert (again.info.strength_unit, again.info.operator) == ("raw", None)


@pytest.mark.parametrize(
    "changes", [{"strength_unit": "sigma"}, {"operator": '"add"'}, {"operator": "remove"}]
)
def test_an_unknown_unit_or_operator_is_refused(file, changes):
    rewrite(file, **changes)
    with pytest.raises(TonearmError, match=next(iter(changes))):
        load_vector(file)
