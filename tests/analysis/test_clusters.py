import numpy as np
import pytest
from sklearn.metrics import jaccard_score

from tonearm.analysis.clusters import jaccard_matrix, measure_clusters
from tonearm.errors import TonearmError

rng = np.random.default_rng(0)
LABELS = ["rock"] * 20 + ["jazz"] * 30 + ["folk"] * 10


def planted(apart: float) -> np.ndarray:
    centres = {"rock": (apart, 0), "jazz": (0, apart), "folk": (-apart, -apart)}
    return np.array([centres[label] for label in LABELS]) + rng.normal(size=(len(LABELS), 2))


def test_planted_clusters_are_found_and_ordered_on_the_diagonal() -> None:
    found = measure_clusters(planted(20), LABELS, "planted points")
    assert found.labels == ("folk", "jazz", "rock")
    assert found.ari == found.nmi == 1
    np.testing.assert_array_equal(found.jaccard, np.eye(3))
    assert [found.labels[cluster] for cluster in found.assigned] == LABELS
    assert found.protocol == "k-means, k = 3, best of 10 starts, seed 0, planted points, n = 60"
    assert found.to_dict()["jaccard"] == np.eye(3).tolist()


def test_random_labels_score_about_zero() -> None:
    found = measure_clusters(planted(20), list(rng.permutation(LABELS)), "shuffled")
    assert abs(found.ari) < 0.15
    assert found.nmi < 0.2


def test_the_matrix_is_overlap_over_union() -> None:
    first, second = rng.integers(0, 4, 50), rng.integers(0, 4, 50)
    matrix = jaccard_matrix(first, second, 4)
    for a in range(4):
        for b in range(4):
            assert matrix[a, b] == pytest.approx(jaccard_score(first == a, second == b))


def test_the_trace_is_the_largest_and_each_cluster_keeps_its_members() -> None:
    found = measure_clusters(planted(1.0), LABELS, "close")
    assert 0 < found.ari < 1
    assert np.trace(found.jaccard) >= np.trace(found.jaccard[:, [1, 2, 0]])
    truth = np.array([found.labels.index(label) for label in LABELS])
    np.testing.assert_allclose(jaccard_matrix(truth, found.assigned, 3), found.jaccard)


def test_one_label_and_unequal_lists_are_refused() -> None:
    with pytest.raises(TonearmError, match="two labels"):
        measure_clusters(planted(1), ["rock"] * 60, "one")
    with pytest.raises(TonearmError, match="one label for each row"):
        measure_clusters(planted(1), ["rock"], "few")


@pytest.mark.parametrize("seed", [-1, 2**32, 10**30, 1.0, None])
def test_a_seed_that_k_means_does_not_take_is_refused(seed) -> None:
    with pytest.raises(TonearmError, match="seed"):
        measure_clusters(planted(20), LABELS, "points", seed)
