import numpy as np
import pytest
from sklearn.metrics import (
    adjusted_mutual_info_score,
    adjusted_rand_score,
    jaccard_score,
    normalized_mutual_info_score,
)

from tonearm.analysis.clusters import (
    jaccard_matrix,
    measure_clusters,
    permuted_agreement,
    whitened,
)
from tonearm.errors import TonearmError

rng = np.random.default_rng(0)
LABELS = ["rock"] * 20 + ["jazz"] * 30 + ["folk"] * 10


def planted(apart: float) -> np.ndarray:
    centres = {"rock": (apart, 0), "jazz": (0, apart), "folk": (-apart, -apart)}
    return np.array([centres[label] for label in LABELS]) + rng.normal(size=(len(LABELS), 2))


def test_planted_clusters_are_found_and_ordered_on_the_diagonal() -> None:
    found = measure_clusters(planted(20), LABELS, "planted points")
    assert found.labels == ("folk", "jazz", "rock")
    assert found.ari == 1 and (found.ami, found.nmi) == pytest.approx((1, 1))
    assert all(null.bound < 0.2 for null in found.nulls.values())
    np.testing.assert_array_equal(found.jaccard, np.eye(3))
    assert [found.labels[cluster] for cluster in found.assigned] == LABELS
    assert found.protocol == "k-means, k = 3, best of 10 starts, seed 0, planted points, n = 60"
    assert found.to_dict()["jaccard"] == np.eye(3).tolist()


def test_random_labels_score_about_zero() -> None:
    found = measure_clusters(planted(20), list(rng.permutation(LABELS)), "shuffled")
    assert abs(found.ari) < 0.15
    assert found.nmi < 0.2


def test_nmi_of_independent_labels_is_high_and_its_null_reports_it() -> None:
    labels = [str(label) for label in np.arange(300) % 60]
    found = measure_clusters(rng.normal(size=(300, 3)), labels, "independent")
    assert found.nmi > 0.4 and abs(found.ari) < 0.05 and abs(found.ami) < 0.1
    assert found.nmi < found.nulls["nmi"].bound + 0.05
    assert found.nulls["nmi"].mean > 0.4 and abs(found.nulls["ami"].mean) < 0.05


def test_a_dimension_of_large_variance_does_not_decide_whitened_rows() -> None:
    rows = np.hstack([planted(20), 1000 * rng.normal(size=(len(LABELS), 1))])
    assert measure_clusters(rows, LABELS, "raw").ari < 0.3
    white = whitened(rows, 50)
    assert white.shape == (60, 3) and white.std(0) == pytest.approx(np.ones(3), abs=0.02)
    assert measure_clusters(white, LABELS, "whitened").ari > 0.8


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


def test_the_indices_are_those_of_scikit_learn() -> None:
    found = measure_clusters(planted(1.5), LABELS, "close")
    truth = np.array([found.labels.index(label) for label in LABELS])
    assert found.ari == pytest.approx(adjusted_rand_score(truth, found.assigned))
    assert found.ami == pytest.approx(adjusted_mutual_info_score(truth, found.assigned))
    assert found.nmi == pytest.approx(normalized_mutual_info_score(truth, found.assigned))


def test_the_null_keeps_the_rows_of_a_track_together() -> None:
    """20 tracks of 10 equal rows: 20 independent samples, not 200."""
    track = np.repeat(np.arange(20), 10)
    truth, found = rng.permutation(20)[track] % 2, rng.permutation(20)[track] % 2
    of_rows = permuted_agreement(truth, found, np.arange(200), seed=0)["ari"]
    of_tracks = permuted_agreement(truth, found, track, seed=0)["ari"]
    assert of_tracks.std() > 5 * of_rows.std()
    mixed = np.concatenate([track, np.arange(20, 60)])  # tracks of two sizes
    labels = np.concatenate([truth, truth[:40]])
    same = permuted_agreement(labels, labels, mixed, seed=0)["nmi"]
    assert len(same) == 200 and same.max() < 0.9


def test_a_track_with_several_labels_permutes_them_among_its_rows() -> None:
    """20 pieces with and without drums, in this order: to exchange whole pieces changes nothing."""
    truth, track = np.tile([0, 1], 20), np.repeat(np.arange(20), 2)
    draws = permuted_agreement(truth, truth, track, seed=0)["ari"]
    assert len(set(draws)) > 5 and draws.mean() < 0.1 and draws.max() < 0.9
    mixed = np.concatenate([track, np.full(3, 20)])  # and a track of one label
    labels = np.concatenate([truth, [1, 1, 1]])
    assert permuted_agreement(labels, labels, mixed, seed=0)["ari"].max() < 0.9


def test_tracks_widen_the_null_and_are_stated() -> None:
    track = np.repeat(np.arange(20), 10)
    rows = rng.normal(size=(20, 3))[track] + 1e-3 * rng.normal(size=(200, 3))
    labels = [f"label {one}" for one in rng.permutation(20)[track] % 2]
    alone = measure_clusters(rows, labels, "points")
    found = measure_clusters(rows, labels, "points", tracks=[f"track {one}" for one in track])
    assert found.nulls["ari"].bound > 2 * alone.nulls["ari"].bound
    assert found.ari == alone.ari
    assert found.protocol.endswith("n = 200 of 20 tracks") and alone.protocol.endswith("n = 200")
    with pytest.raises(TonearmError, match="one track for each row"):
        measure_clusters(rows, labels, "points", tracks=["a"])


def test_one_label_and_unequal_lists_are_refused() -> None:
    with pytest.raises(TonearmError, match="two labels"):
        measure_clusters(planted(1), ["rock"] * 60, "one")
    with pytest.raises(TonearmError, match="one label for each row"):
        measure_clusters(planted(1), ["rock"], "few")


@pytest.mark.parametrize("seed", [-1, 2**32, 10**30, 1.0, None])
def test_a_seed_that_k_means_does_not_take_is_refused(seed) -> None:
    with pytest.raises(TonearmError, match="seed"):
        measure_clusters(planted(20), LABELS, "points", seed)
