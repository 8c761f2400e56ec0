"""Fréchet distance of Gaussians with a closed form, its bias and its extrapolation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from tonearm.errors import TonearmError
from tonearm.evaluators.embedding_set import EmbeddingSet
from tonearm.measures.fad import frechet_distance, measure_fad, moments

rng = np.random.default_rng(0)


def rows(n: int, width: int = 8, shift: float = 0.0, seed: int = 0) -> EmbeddingSet:
    return EmbeddingSet(
        np.random.default_rng(seed).normal(shift, 1, (n, width)), "planted", f"seed {seed}"
    )


def random_covariance(width: int, seed: int) -> np.ndarray:
    root = np.random.default_rng(seed).normal(size=(width, width))
    return root @ root.T


def test_a_shift_of_one_half_in_16_dimensions_is_4() -> None:
    assert frechet_distance(
        np.zeros(16), np.eye(16), np.full(16, 0.5), np.eye(16)
    ) == pytest.approx(4.0, abs=1e-12)


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), min_size=1, max_size=8))
def test_of_diagonal_covariances_it_is_the_sum_of_squared_differences_of_the_deviations(
    variances,
) -> None:
    first, second = np.array(variances).T
    mean = np.zeros(len(first))
    expected = ((np.sqrt(first) - np.sqrt(second)) ** 2).sum()
    assert frechet_distance(mean, np.diag(first), mean, np.diag(second)) == pytest.approx(
        expected, abs=1e-6
    )


@pytest.mark.parametrize("width", [1, 3, 20])
def test_the_symmetric_root_agrees_with_the_matrix_root_of_the_product(width: int) -> None:
    first, second = random_covariance(width, 1), random_covariance(width, 2)
    mean = np.zeros(width)
    expected = np.trace(first + second - 2 * sqrtm(first @ second).real)
    assert frechet_distance(mean, first, mean, second) == pytest.approx(expected, rel=1e-9)


def test_it_is_symmetric_and_zero_for_equal_ones_of_low_rank_too() -> None:
    some = rng.normal(size=(5, 12))  # rank 4 in 12 dimensions
    other = rng.normal(size=(6, 12))
    assert frechet_distance(*moments(some), *moments(some)) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(*moments(some), *moments(other)) == pytest.approx(
        frechet_distance(*moments(other), *moments(some)), rel=1e-6
    )


def test_rotation_and_shift_change_nothing_and_scaling_squares() -> None:
    first, second = rows(50).rows, rows(60, shift=1, seed=1).rows
    turn = np.linalg.qr(rng.normal(size=(8, 8)))[0]
    distance = frechet_distance(*moments(first), *moments(second))
    assert frechet_distance(
        *moments(first @ turn + 7), *moments(second @ turn + 7)
    ) == pytest.approx(distance, rel=1e-9)
    assert frechet_distance(*moments(3 * first), *moments(3 * second)) == pytest.approx(
        9 * distance, rel=1e-9
    )


@pytest.mark.slow
def test_small_sets_are_biased_and_extrapolation_removes_most_of_it() -> None:
    # Bias in 128 dimensions where the true distance is 0: 23 for 200 clips, 2.1 for 2,000, and
    # a little more against 20,000.
    reference = rows(20_000, 128, seed=9)
    few, many = (measure_fad(rows(n, 128), reference, extrapolate=n > 400) for n in (200, 1000))
    assert few.value == pytest.approx(24, abs=1)
    assert few.extrapolated is None
    assert many.value > 4
    assert abs(many.extrapolated) < 0.5


def test_the_floor_of_two_sets_is_above_that_of_one() -> None:
    """The numbers of docs/measures.md."""
    exact = np.zeros(128), np.eye(128)
    for n, one, two in ((50, 108, 132), (200, 23.5, 42.8)):
        first, second = (moments(rows(n, 128, seed=seed).rows) for seed in (1, 2))
        assert frechet_distance(*first, *exact) == pytest.approx(one, rel=0.04)
        assert frechet_distance(*first, *second) == pytest.approx(two, rel=0.06)


def test_extrapolation_finds_a_planted_distance_and_depends_on_the_seed_alone() -> None:
    reference, shifted = rows(4000, seed=9), rows(400, shift=0.5)
    found = measure_fad(shifted, reference, extrapolate=True, seed=3)
    assert found.extrapolated == pytest.approx(8 * 0.25, abs=0.3)
    assert measure_fad(shifted, reference, extrapolate=True, seed=3) == found


def test_the_protocol_has_sizes_embedding_and_reference() -> None:
    found = measure_fad(rows(30), rows(40, seed=5))
    assert (
        found.protocol == "Fréchet distance, planted, n = 30 (seed 0) against 40 (seed 5), width 8"
    )
    assert found.to_dict()["n"] == 30


def test_sets_that_do_not_compare_are_refused() -> None:
    with pytest.raises(TonearmError, match="two clips or more"):
        measure_fad(rows(1), rows(40))
    with pytest.raises(TonearmError, match="embed both alike"):
        measure_fad(rows(10, 8), rows(10, 9))
    with pytest.raises(TonearmError, match="embed both alike"):
        measure_fad(rows(10), EmbeddingSet(rows(10).rows, "another", "x"))
    with pytest.raises(TonearmError, match="give 24 or more"):
        measure_fad(rows(23), rows(40), extrapolate=True)
