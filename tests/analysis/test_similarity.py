"""Similarity of directions: planted blocks are found, halves of noise disagree."""

import numpy as np
import pytest

from tonearm.analysis.similarity import cosine_matrix, find_blocks, split_half_cosines
from tonearm.errors import TonearmError


def directions(sizes, noise=0.2, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(len(sizes), 64))
    rows = [centres[i] + noise * rng.normal(size=64) for i, n in enumerate(sizes) for _ in range(n)]
    return np.array(rows)


def test_cosines_ignore_length_and_a_row_of_zeros_has_none():
    rows = np.array([[1.0, 0], [5, 0], [0, 2], [0, 0]])
    assert cosine_matrix(rows)[0].tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize("sizes", [(3, 4, 3), (5, 4), (2, 2, 2, 3)])
def test_planted_blocks_are_found_with_their_number(sizes):
    found = find_blocks(cosine_matrix(directions(sizes)))
    assert found.labels == tuple(i for i, n in enumerate(sizes) for _ in range(n))
    assert found.contiguous and found.within > 0.9 > 0.5 > found.between


def test_a_block_with_a_gap_is_not_contiguous():
    rows = directions((4, 4))
    found = find_blocks(cosine_matrix(rows[[0, 1, 4, 5, 2, 3, 6, 7]]))
    assert found.labels == (0, 0, 1, 1, 0, 0, 1, 1) and not found.contiguous


def test_halves_agree_on_a_planted_direction_and_not_on_noise():
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(2, 40, 32))
    shift = np.zeros(32)
    shift[0] = 5.0
    assert split_half_cosines(noise[0] + shift, noise[1], 20, 0).min() > 0.8
    assert abs(split_half_cosines(noise[0], noise[1], 200, 0).mean()) < 0.5
    again = split_half_cosines(noise[0], noise[1], 5, 3)
    assert (again == split_half_cosines(noise[0], noise[1], 5, 3)).all()


def test_too_few_directions_or_prompts_are_refused():
    with pytest.raises(TonearmError, match="the 4 directions are equal"):
        find_blocks(np.ones((4, 4)))
    with pytest.raises(TonearmError, match="2 directions have no blocks"):
        find_blocks(np.eye(2))
    with pytest.raises(TonearmError, match="has no halves"):
        split_half_cosines(np.ones((1, 3)), np.ones((4, 3)), 2, 0)
