"""Layer numbers survive export and import: a direction that is moved by one layer raises no error
anywhere, and would be found by nothing else.
"""

import numpy as np
import pytest
import torch

from tests.sharing.files import PLAIN, write_directions
from tests.steering.vectors import vector_of
from tonearm.model import Model
from tonearm.sharing.exporting import export_gguf
from tonearm.sharing.gguf_file import read_gguf
from tonearm.sharing.importing import import_vector
from tonearm.steering import Steer, Steering, SteeringVector

LAYERS = 5  # of the tiny checkpoint


@pytest.fixture
def model(model_of) -> Model:
    return model_of("large")


def planted(model: Model, layer: int, site: str) -> SteeringVector:
    """A vector whose directions above layer 0 are zero, but for one layer's."""
    whole = vector_of(model, "planted", seed=3, site=site, best_layer=layer)
    kept = {i: one if i == layer else 0 * one for i, one in whole.directions.items() if i > 0}
    return SteeringVector(kept, whole.info)


def codes(model: Model, vector: SteeringVector, **steer: object) -> np.ndarray:
    one = Steer(vector="planted", strength=4.0, strategy="all-to-all", **steer)
    model.vectors["planted"] = vector
    return model.generate("a calm tune", steer=Steering(steers=(one,)), seconds=1.0, seed=5).codes


@pytest.mark.parametrize("site", ["residual", "attention"])
@pytest.mark.parametrize("layer", range(1, LAYERS))
def test_a_planted_direction_comes_back_at_its_layer_and_makes_the_same_codes(
    model, tmp_path, layer, site
):
    vector = planted(model, layer, site)
    path = export_gguf(vector, tmp_path / "x.gguf").path
    written = read_gguf(path).tensors
    assert [name for name, one in written.items() if one.any()] == [f"direction.{layer}"]
    again = import_vector(path, model.shape)
    assert [number for number in again.layers if again[number].any()] == [layer]
    assert again.content_hash() == vector.content_hash() and again.info.best_layer == layer
    original = codes(model, vector)
    assert np.array_equal(codes(model, again), original)
    assert not np.array_equal(model.generate("a calm tune", seconds=1.0, seed=5).codes, original)


@pytest.mark.parametrize("layer", range(1, LAYERS - 1))
def test_a_direction_that_is_moved_by_one_layer_makes_other_codes(model, layer):
    """So that the test above fails for a shift."""
    vector = planted(model, layer, "residual")
    moved = {i + 1: one for i, one in vector.directions.items() if i + 1 < LAYERS}
    shifted = SteeringVector(moved, vector.info)
    assert not np.array_equal(codes(model, vector), codes(model, shifted))


@pytest.mark.parametrize(("layers_from", "layer"), [(0, 3), (1, 2)])
def test_a_file_without_a_convention_is_read_by_the_one_that_is_given(
    model, tmp_path, layers_from, layer
):
    direction = planted(model, 2, "residual")[2]
    path = write_directions(tmp_path / "x.gguf", PLAIN, {3: direction.numpy()})
    again = import_vector(path, model.shape, layers_from=layers_from)
    assert again.layers == (layer,) and torch.equal(again[layer], direction)


def test_a_projecting_vector_removes_the_same_after_export_and_import(model, tmp_path):
    vector = planted(model, 2, "residual")
    path = export_gguf(vector, tmp_path / "x.gguf", mode="project").path
    again = import_vector(path, model.shape)
    assert again.layers == (2,) and again.info.operator == "remove"
    removed = codes(model, again, operator="remove")
    assert np.array_equal(removed, codes(model, vector, operator="remove"))
    assert not np.array_equal(removed, codes(model, vector))
    twice = export_gguf(again, tmp_path / "y.gguf")
    assert twice.mode == "project"
    assert read_gguf(twice.path).tensors["direction.2"].tobytes() == again[2].numpy().tobytes()
