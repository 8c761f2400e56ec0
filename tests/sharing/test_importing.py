"""Import of other programs' directions: exact values at the right layers, and one line otherwise."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from tests.sharing.files import GLP, PLAIN, rows, unit_rows, write_directions
from tests.steering.vectors import vector_of
from tonearm.errors import TonearmError
from tonearm.sharing.importing import import_vector, read_foreign
from tonearm.steering import load_vector, save_vector


def tensors_of(values: np.ndarray, key: str = "{}") -> dict[str, torch.Tensor]:
    return {key.format(i): torch.from_numpy(row) for i, row in enumerate(values)}


def svec(path: Path, directions: object, **more: object) -> Path:
    path.write_text(json.dumps({"model_type": "musicgen", "directions": directions, **more}))
    return path


def refused(path: Path, shape, match: str, **options) -> None:
    with pytest.raises(TonearmError, match=match) as error:
        import_vector(path, shape, **options)
    assert "\n" not in str(error.value) and len(str(error.value)) < 700


@pytest.fixture
def shape(melody):
    """The tiny melody checkpoint: three layers of 32."""
    return melody.shape


def test_a_glp_file_brings_its_site_labels_strength_and_operator(shape, tmp_path):
    unit = unit_rows(3)
    metadata = {
        **GLP,
        "glp.mode": "project",
        "glp.hook_point": "attn_out_pre_residual",
        "glp.alpha_default": 0.5,
        "glp.method": "paired_difference_of_means",
        "general.name": "calm",
        "tonearm.positive_label": "calm",
        "tonearm.negative_label": "wild",
        "tonearm.best_layer": 2,
    }
    path = write_directions(tmp_path / "x.gguf", metadata, {1: unit[1], 2: unit[2]})
    vector = import_vector(path, shape)
    info = vector.info
    assert (info.name, info.site, info.operator) == ("calm", "attention", "remove")
    assert (info.positive_label, info.negative_label, info.best_layer) == ("calm", "wild", 2)
    assert (info.method, info.source, info.strength_unit) == (
        "paired_difference_of_means", "file", "raw",
    )  # fmt: skip
    assert info.statistics == {"alpha_default": 0.5} and len(info.data_hash) == 16
    assert (info.checkpoint, info.fingerprint) == (shape.public_name, shape.fingerprint)
    assert all(np.array_equal(vector[layer].numpy(), unit[layer]) for layer in (1, 2))
    again = load_vector(save_vector(vector, tmp_path / "x"))
    assert again.info == info and again.content_hash() == vector.content_hash()
    named = import_vector(path, shape, name="mine", positive_label="still", best_layer=1)
    assert (named.info.name, named.info.positive_label, named.info.best_layer) == (
        "mine",
        "still",
        1,
    )


@pytest.mark.parametrize(("layers_from", "layers"), [(0, (1, 2)), (1, (0, 1))])
def test_the_convention_of_a_file_that_states_none_is_asked_for(
    shape, tmp_path, layers_from, layers
):
    given = rows(2)
    path = write_directions(tmp_path / "x.gguf", PLAIN, {1: given[0], 2: given[1]})
    refused(
        path, shape, r"does not state how it counts layers; give --layers-from 0 .* or --layers-"
    )
    vector = import_vector(path, shape, layers_from=layers_from)
    assert vector.layers == layers and vector.info.best_layer is None
    assert np.array_equal(vector[layers[1]].numpy(), given[1])
    assert vector.name == "x" and vector.info.method == "imported"
    refused(path, shape, "--layers-from 2 is not possible; give 0 or 1", layers_from=2)


def test_a_convention_that_contradicts_the_file_is_refused(shape, tmp_path):
    path = write_directions(tmp_path / "x.gguf", GLP, {1: rows(1)[0]})
    assert import_vector(path, shape, layers_from=0).layers == import_vector(path, shape).layers
    refused(path, shape, "states that its number N is layer N; leave out", layers_from=1)


def test_a_site_that_contradicts_the_file_is_refused(shape, tmp_path):
    path = write_directions(tmp_path / "x.gguf", GLP, {1: rows(1)[0]})
    assert import_vector(path, shape, site="residual").info.site == "residual"
    refused(path, shape, "is for site residual, not attention; leave --site out", site="attention")
    plain = write_directions(tmp_path / "y.gguf", PLAIN, {1: rows(1)[0]})
    refused(plain, shape, "is for site residual", site="heads", layers_from=0)
    refused(path, shape, "has no site 'ear'", site="ear")


def test_a_file_of_another_checkpoint_is_refused(shape, tmp_path):
    wide = write_directions(tmp_path / "wide.gguf", GLP, {1: rows(1, 48)[0]})
    refused(wide, shape, "width 48, and .* has width 32; name the checkpoint")
    high = write_directions(tmp_path / "high.gguf", GLP, {3: rows(1)[0]})
    refused(high, shape, r"direction for layer 3, and .* has layers 0\.\.2")
    long = {**GLP, "controlvector.layer_count": 9}
    refused(write_directions(tmp_path / "l.gguf", long, {1: rows(1)[0]}), shape, "is for 9 layers")
    llama = {**GLP, "controlvector.model_hint": "llama"}
    refused(write_directions(tmp_path / "a.gguf", llama, {1: rows(1)[0]}), shape, "'llama' model")
    other = {**GLP, "tonearm.fingerprint": "0" * 16, "general.base_model.0.name": "pocket"}
    path = write_directions(tmp_path / "o.gguf", other, {1: rows(1)[0]})
    refused(path, shape, r"was made for 'pocket' \('0000.*'\), not for .*--model")


@pytest.mark.parametrize("key", ["{}", "layer.{}"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_tensors_by_layer_are_imported_as_float32(shape, tmp_path, key, dtype):
    given = {name: one.to(dtype) for name, one in tensors_of(rows(3), key).items()}
    path = tmp_path / "x.safetensors"
    safetensors.torch.save_file(given, path)
    vector = import_vector(path, shape, site="attention", layers_from=0)
    assert vector.layers == (0, 1, 2) and vector.info.site == "attention"
    for layer in vector.layers:
        assert torch.equal(vector[layer], given[key.format(layer)].float())


def test_tensors_by_layer_need_a_site_and_a_convention(shape, tmp_path):
    path = tmp_path / "x.safetensors"
    safetensors.torch.save_file(tensors_of(rows(3)), path)
    refused(path, shape, "does not state how it counts layers", site="residual")
    refused(path, shape, "does not state the site .* residual, attention, heads", layers_from=0)
    refused(path, shape, "direction for layer -1", site="residual", layers_from=1)
    refused(path, shape, "leave out --layer", site="residual", layers_from=0, layer=1)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"weight": torch.ones(32)}, "the tensor 'weight'; a file of directions has the keys 0, 1"),
        ({"layer.-1": torch.ones(32)}, "the tensor 'layer.-1'"),
        ({"01": torch.ones(32)}, "the tensor '01'"),
        ({"1": torch.ones(32), "layer.1": torch.ones(32)}, "holds two directions 1"),
        ({"1": torch.ones(2, 32)}, r"direction 1 of .* has the shape \[2, 32\]"),
        ({"1": torch.ones(32, dtype=torch.int32)}, "of type torch.int32"),
        ({"1": torch.full((32,), torch.nan)}, "holds NaN"),
        ({"1": torch.full((32,), 1e300, dtype=torch.float64)}, "infinite as float32"),
        ({"1": torch.ones(0)}, r"the shape \[0\]"),
        ({"1": torch.ones(16)}, "width 16"),
        ({"1": torch.ones(32), "2": torch.ones(33)}, "different widths"),
    ],
)
def test_other_tensors_are_refused(shape, tmp_path, tensors, message):
    path = tmp_path / "x.safetensors"
    safetensors.torch.save_file(tensors, path)
    refused(path, shape, message, site="residual", layers_from=0)


def test_a_vector_of_tonearm_is_not_imported(melody, tmp_path):
    path = save_vector(vector_of(melody), tmp_path / "v")
    refused(path, melody.shape, "is a vector of Tonearm already", site="residual", layers_from=0)


def test_a_matrix_with_one_row_per_layer_needs_no_convention(shape, tmp_path):
    given = rows(3).astype(np.float64)
    np.save(tmp_path / "x.npy", given)
    vector = import_vector(tmp_path / "x.npy", shape, site="residual")
    assert vector.layers == (0, 1, 2)
    assert all(np.array_equal(vector[i].numpy(), given[i].astype(np.float32)) for i in range(3))
    refused(tmp_path / "x.npy", shape, "one row per layer; leave out --layers-from",
            site="residual", layers_from=0)  # fmt: skip
    np.save(tmp_path / "hidden.npy", rows(4))
    refused(tmp_path / "hidden.npy", shape, "one more than the 3 layers .* hidden states",
            site="residual")  # fmt: skip
    np.save(tmp_path / "two.npy", rows(2))
    refused(tmp_path / "two.npy", shape, "has 2 rows, and .* has 3 layers", site="residual")


@pytest.mark.parametrize("given", [rows(1)[0], rows(1)])
def test_one_direction_needs_its_layer(shape, tmp_path, given):
    np.save(tmp_path / "x.npy", given)
    refused(
        tmp_path / "x.npy", shape, "one direction; give its layer with --layer", site="residual"
    )
    vector = import_vector(tmp_path / "x.npy", shape, site="residual", layer=2)
    assert vector.layers == (2,) and vector.info.best_layer == 2
    assert np.array_equal(vector[2].numpy(), rows(1)[0])
    refused(tmp_path / "x.npy", shape, r"layer 3, and .* 0\.\.2", site="residual", layer=3)
    refused(tmp_path / "x.npy", shape, "without a number; leave out --layers-from",
            site="residual", layer=2, layers_from=0)  # fmt: skip


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([{"a": 1}], dtype=object), "holds values of type object"),
        (np.ones((3, 32), dtype=np.int64), "values of type int64; give floating-point numbers"),
        (np.ones((3, 32), dtype=np.complex64), "values of type complex64"),
        (np.ones((1, 3, 32), dtype=np.float32), r"shape \[1, 3, 32\]"),
        (np.ones((), dtype=np.float32), r"shape \[\]"),
        (np.ones((2000, 2), dtype=np.float32), r"shape \[2000, 2\]"),
        (np.ones((0, 32), dtype=np.float32), "holds 0 directions"),
        (np.full((3, 32), np.nan, dtype=np.float32), "direction 0 of .* holds NaN"),
        (np.full((3, 32), 1e39), "infinite as float32"),
    ],
)
def test_other_arrays_are_refused(shape, tmp_path, array, message):
    np.save(tmp_path / "x.npy", array, allow_pickle=True)
    refused(tmp_path / "x.npy", shape, message, site="residual")


@pytest.mark.parametrize(
    ("location", "layers_from", "layers"),
    [
        ("layer_output", None, (1, 2)),
        ("layer_input", None, (0, 1)),
        (None, 0, (1, 2)),
        (None, 1, (0, 1)),
    ],
)
def test_a_svec_file_counts_by_its_location(shape, tmp_path, location, layers_from, layers):
    given = rows(2)
    directions = {"1": given[0].tolist(), "2": [given[1].tolist()]}  # [D] and [1][D]
    more = {"meta": {"location": location}} if location else {}
    path = svec(tmp_path / "x.svec", directions, **more)
    vector = import_vector(path, shape, site="residual", layers_from=layers_from)
    assert vector.layers == layers
    for layer, row in zip(layers, given, strict=True):
        assert np.array_equal(vector[layer].numpy(), row)


def test_the_input_of_layer_0_is_the_output_of_no_layer(shape, tmp_path):
    meta = {"location": "layer_input"}
    path = svec(tmp_path / "x.svec", {"0": rows(1)[0].tolist()}, meta=meta)
    refused(path, shape, "direction for layer -1", site="residual")


@pytest.mark.parametrize(
    ("directions", "more", "message"),
    [
        ({"1": rows(2).tolist()}, {}, "has 2 directions at layer 1"),
        ({"1": rows(1)[0].tolist()}, {"num_heads": 4, "head_dim": 8}, "has num_heads: .* heads"),
        ({"1": rows(1)[0].tolist()}, {"probe_accuracies": {"1:0": 0.9}}, "has probe_accuracies"),
        ({"1": rows(1)[0].tolist()}, {"meta": {"location": "mlp"}}, "meta.location 'mlp'"),
        (
            {"1": rows(1)[0].tolist()},
            {"meta": {"location": ["mlp"]}},
            "meta.location .* is not known",
        ),
        ({"1": rows(1)[0].tolist()}, {"model_type": "llama"}, "'llama' model"),
        ({"x": rows(1)[0].tolist()}, {}, "the layer 'x'"),
        ({"-1": rows(1)[0].tolist()}, {}, "the layer '-1'"),
        ({"1": ["a"]}, {}, "direction 1 of .* is no list of numbers"),
        ({"1": [[1.0], [1.0, 2.0]]}, {}, "is no list of numbers"),
        ({"1": None}, {}, "is no list of numbers"),
        ({"1": [float("nan")] * 32}, {}, "holds NaN"),
        ({"1": [[[0.0] * 32]]}, {}, r"has the shape \[1, 1, 32\]"),
        ({"1": [0.0] * 31}, {}, "width 31"),
        ({}, {}, "holds 0 directions"),
        ([], {}, "holds no directions"),
        (None, {}, "holds no directions"),
    ],
)
def test_other_svec_files_are_refused(shape, tmp_path, directions, more, message):
    path = svec(tmp_path / "x.svec", directions, **more)
    refused(path, shape, message, site="residual", layers_from=0)


def test_damaged_files_are_refused(shape, tmp_path):
    (tmp_path / "x.svec").write_text("{")
    refused(tmp_path / "x.svec", shape, "as JSON", site="residual")
    (tmp_path / "x.npy").write_bytes(b"\x93NUMPY\x01\x00")
    refused(tmp_path / "x.npy", shape, "cannot read", site="residual")
    (tmp_path / "x.safetensors").write_bytes(b"x")
    refused(tmp_path / "x.safetensors", shape, "as safetensors", site="residual")
    for ending in (".gguf", ".npy", ".svec", ".safetensors"):
        refused(tmp_path / f"absent{ending}", shape, "no .* at ", site="residual")


class _Trap:
    """Unpickling it writes a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.write_text, (self.path, "executed")


@pytest.mark.parametrize(
    "ending", [".pt", ".bin", ".pkl", ".npy", ".safetensors", ".gguf", ".svec"]
)
def test_a_pickled_file_never_runs(shape, tmp_path, ending):
    proof, path = tmp_path / "proof", tmp_path / f"x{ending}"
    path.write_bytes(pickle.dumps(_Trap(proof)))
    with pytest.raises(TonearmError):
        import_vector(path, shape, site="residual", layers_from=0)
    np.save(tmp_path / "array.npy", np.array([_Trap(proof)], dtype=object), allow_pickle=True)
    with pytest.raises(TonearmError, match="of type object"):
        import_vector(tmp_path / "array.npy", shape, site="residual")
    assert not proof.exists()
    if ending in (".pt", ".bin", ".pkl"):
        refused(path, shape, "pickled files can run code")


def test_another_ending_is_refused_with_those_that_are_read(tmp_path):
    with pytest.raises(
        TonearmError, match=r"give a file that ends in .gguf, .safetensors, .npy, .sv"
    ):
        read_foreign(tmp_path / "x.csv")


def test_a_best_layer_without_a_direction_is_refused(shape, tmp_path):
    path = write_directions(tmp_path / "x.gguf", GLP, {1: rows(1)[0]})
    assert import_vector(path, shape).info.best_layer == 1  # the only one
    refused(path, shape, "no direction for layer 2; it has 1", best_layer=2)
    stray = {**GLP, "tonearm.best_layer": 2}
    two = write_directions(tmp_path / "y.gguf", stray, {1: rows(1)[0]})
    assert import_vector(two, shape).info.best_layer == 1
