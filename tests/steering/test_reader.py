"""Readers of features: values, checks, and their place in vectors."""

from dataclasses import replace

import pytest
import safetensors.torch
import torch

from tests.steering.vectors import random_vector, readers_of, vector_of
from tonearm.errors import TonearmError
from tonearm.steering import Steer, Steering, load_vector, save_vector
from tonearm.steering.reader import packed_reader, read_feature
from tonearm.steering.resolve import check_steering, resolve

WIDTH = 8
FEATURE = Steering(steers=(Steer(vector="v", operator="feature", strategy="all-to-all"),))


def reading_vector(**info):
    vector = random_vector(width=WIDTH, **info)
    return replace(vector, readers=readers_of(vector))


def test_a_value_is_read_above_the_threshold_alone():
    reader = packed_reader(torch.tensor([1.0, 0.0]), bias=0.5, threshold=1.0)
    h = torch.tensor([[2.0, 9.0], [0.5, 9.0], [-3.0, 9.0]])
    assert read_feature(h, reader)[:, 0].tolist() == [2.5, 0.0, 0.0]


def test_the_value_of_a_row_does_not_depend_on_the_other_rows():
    reader = packed_reader(torch.randn(WIDTH), bias=0.1, threshold=0.2)
    h = torch.randn(5, 3, WIDTH)
    together = read_feature(h, reader)
    for row in range(5):
        assert torch.equal(read_feature(h[row : row + 1], reader)[0], together[row])


def test_a_reader_of_zeros_reads_0():
    assert not read_feature(torch.randn(4, WIDTH), torch.zeros(WIDTH + 2)).any()


def test_a_value_of_half_precision_is_read_in_float32():
    h = torch.randn(4, WIDTH)
    reader = packed_reader(torch.randn(WIDTH), bias=1.0, threshold=0.0)
    found = read_feature(h.half(), reader)
    assert found.dtype == torch.float32
    assert torch.equal(found, read_feature(h.half().float(), reader))


def test_readers_are_written_and_read_and_hashed(tmp_path):
    vector = reading_vector()
    path = save_vector(vector, tmp_path / "v")
    assert {"reader.0", "reader.1", "reader.2"} < set(safetensors.torch.load_file(path))
    again = load_vector(path)
    assert again.content_hash() == vector.content_hash()
    for layer in vector.layers:
        assert torch.equal(again.reader(layer), vector.reader(layer))
    plain = random_vector(width=WIDTH)
    assert vector.content_hash() != plain.content_hash()
    other = replace(vector, readers={**vector.readers, 0: vector.readers[0] + 1})
    assert other.content_hash() != vector.content_hash()


def test_a_damaged_reader_is_found(tmp_path):
    path = save_vector(reading_vector(), tmp_path / "v")
    content = bytearray(path.read_bytes())
    content[-3] ^= 1  # the last tensor is a reader
    path.write_bytes(content)
    with pytest.raises(TonearmError, match=r"damaged|reader"):
        load_vector(path)


def test_a_renamed_vector_reads_and_a_sum_does_not():
    vector = reading_vector()
    assert vector.renamed("w").readers.keys() == vector.readers.keys()
    for made in (vector + vector, 2 * vector, -vector, vector.random_like(1)):
        assert not made.readers


@pytest.mark.parametrize(
    "reader",
    [
        torch.zeros(WIDTH),
        torch.full((WIDTH + 2,), float("nan")),
        torch.cat([torch.zeros(WIDTH + 1), torch.tensor([-1.0])]),
        [0.0] * (WIDTH + 2),
    ],
)
def test_other_readers_are_refused(reader):
    vector = random_vector(width=WIDTH)
    with pytest.raises(TonearmError, match="layer 0 has no reader of 8 weights"):
        replace(vector, readers={0: reader})


def test_a_reader_needs_a_direction():
    vector = random_vector(width=WIDTH)
    with pytest.raises(TonearmError, match=r"a reader of layer '?7'? and no direction"):
        replace(vector, readers={7: torch.zeros(WIDTH + 2)})


def test_operator_feature_needs_a_vector_that_reads(melody):
    plain = replace(vector_of(melody), readers={})
    for check in (
        lambda: check_steering(FEATURE, {"v": plain}, melody.shape),
        lambda: resolve([FEATURE], {"v": plain}, melody.shape, 4, torch.device("cpu")),
    ):
        with pytest.raises(TonearmError, match="reads no feature at layer 0"):
            check()


def test_a_level_is_in_peaks(melody):
    vector = vector_of(melody)
    steer = Steer(vector="v", operator="feature", level=2.0, strategy="all-to-all")
    (found,) = resolve(
        [Steering(steers=(steer,))], {"v": vector}, melody.shape, 4, torch.device("cpu")
    )
    targets = found.targets(found.levels)  # [G, n, T]
    for layer in vector.layers:
        peak = float(vector[layer].norm())
        assert targets[layer, 0, 0] == pytest.approx(2 * peak, rel=1e-5)
