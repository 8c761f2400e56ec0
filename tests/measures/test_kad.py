import numpy as np
import pytest
from scipy.spatial.distance import pdist

from tonearm.errors import TonearmError
from tonearm.evaluators.embedding_set import EmbeddingSet
from tonearm.measures.kad import measure_kad, squared_mmd


def rows(n: int, shift: float = 0.0, seed: int = 0, width: int = 8) -> EmbeddingSet:
    return EmbeddingSet(
        np.random.default_rng(seed).normal(shift, 1, (n, width)), "planted", f"seed {seed}"
    )


def test_a_distance_computed_by_hand() -> None:
    first, second = np.array([[0.0], [1.0]]), np.array([[0.0], [2.0], [4.0]])

    def k(distance: float) -> float:
        return float(np.exp(-(distance**2) / (2 * 3**2)))

    expected = k(1) + (2 * k(2) + k(4)) / 3 - 2 * (k(0) + k(2) + k(4) + k(1) + k(1) + k(3)) / 6
    assert squared_mmd(first, second, 3.0) == pytest.approx(expected, abs=1e-15)


def test_the_mean_over_draws_from_one_distribution_is_zero_for_any_n() -> None:
    for n in (5, 50):
        values = [measure_kad(rows(n, seed=s), rows(200, seed=1000 + s)).value for s in range(60)]
        assert abs(np.mean(values)) < 3 * np.std(values) / len(values) ** 0.5
        assert min(values) < 0 < max(values)


def test_it_grows_with_the_distance_and_equals_the_closed_form() -> None:
    # Of N(0, I) and N(m, I), with r = s^2 / (s^2 + 2):
    # MMD^2 = 2 r^(D/2) (1 - exp(-|m|^2 / 2 (s^2 + 2))).
    reference = rows(2000, seed=9)
    previous = 0.0
    for shift in (0.3, 0.6, 1.2):
        found = measure_kad(rows(2000, shift), reference)
        s2 = found.bandwidth**2
        expected = 200 * (s2 / (s2 + 2)) ** 4 * (1 - np.exp(-8 * shift**2 / (2 * (s2 + 2))))
        assert found.value == pytest.approx(expected, rel=0.1)
        assert found.value > previous
        previous = found.value


def test_the_bandwidth_is_the_references_median_distance_and_scaling_changes_nothing() -> None:
    clips, reference = rows(30, 0.5), rows(40, seed=3)
    found = measure_kad(clips, reference)
    assert found.bandwidth == pytest.approx(np.median(pdist(reference.rows)))
    scaled = [EmbeddingSet(7 * one.rows, one.embedder, one.source) for one in (clips, reference)]
    assert measure_kad(*scaled).value == pytest.approx(found.value)
    assert "n = 30 (seed 0) against 40 (seed 3)" in found.protocol


def test_sets_that_do_not_compare_are_refused() -> None:
    with pytest.raises(TonearmError, match="two clips or more"):
        measure_kad(rows(10), rows(1))
    with pytest.raises(TonearmError, match="are the same"):
        measure_kad(rows(10), EmbeddingSet(np.ones((5, 8)), "planted", "ones"))
    with pytest.raises(TonearmError, match="embed both alike"):
        measure_kad(rows(10), rows(10, width=3))
