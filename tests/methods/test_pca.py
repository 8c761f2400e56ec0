"""Uncentred principal component of differences, with pairs and without."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA as CentredPCA

from tests.methods.planted import CONCEPT, LAYERS, cosine, planted
from tonearm.errors import TonearmError
from tonearm.methods import Activations, method_named, require_direction
from tonearm.methods.base import statistics_text
from tonearm.methods.evaluation import chance_of
from tonearm.methods.pca import are_pairs, centred_on_pairs, principal_difference
from tonearm.methods.principal_axes import principal_axes

PCA = method_named("pca")


def pairs(count=120, gap=4.0, nuisance_variance=4.0, scene=10.0, width=24, seed=0):
    """Rows [2 count, LAYERS, width] of two prompts a scene, in random order, and their differences.

    The scene is shared by both rows of a pair; the concept (axis 0) is in layer CONCEPT, and the
    nuisance (axis 1) has `nuisance_variance` in every row.
    """
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.normal(size=(width, 2)))[0].T
    rows = scene * rng.normal(size=(count, 1, LAYERS, width)) + rng.normal(
        size=(count, 2, LAYERS, width)
    )
    along = (rows - rows.mean(1, keepdims=True)) @ axes[1]
    rows += (np.sqrt(nuisance_variance) - 1) * along[..., None] * axes[1]
    rows[:, 0, CONCEPT] += gap * axes[0]
    differences = rows[:, 0] - rows[:, 1]
    mixed = rng.permutation(2 * count)
    labels = np.tile([1, 0], count)[mixed]
    groups = np.repeat(np.arange(count), 2)[mixed]
    tensors = torch.tensor(rows.reshape(2 * count, LAYERS, width)[mixed], dtype=torch.float32)
    activations = Activations.from_rows(tensors, torch.from_numpy(labels), torch.from_numpy(groups))
    return activations, differences, axes


def test_the_mean_of_the_differences_is_kept_where_a_centred_pca_finds_the_nuisance():
    activations, differences, (concept, nuisance) = pairs()
    centred = CentredPCA(1).fit(differences[:, CONCEPT]).components_[0]
    assert abs(cosine(centred, nuisance)) > 0.9 and abs(cosine(centred, concept)) < 0.3
    fit = PCA.fit(activations)
    assert cosine(fit.directions[CONCEPT], concept) > 0.95
    assert fit.best_layer == CONCEPT and fit.has_direction
    assert fit.scores["auc"][CONCEPT] > 0.95


def test_with_pairs_it_is_the_leading_right_singular_vector_of_their_differences():
    activations, differences, _ = pairs(gap=3)
    fit = PCA.fit(activations)
    for layer in range(LAYERS):
        _, values, vectors = np.linalg.svd(differences[:, layer], full_matrices=False)
        assert abs(cosine(fit.directions[layer], vectors[0])) > 1 - 1e-6
        share = values[0] ** 2 / np.square(values).sum()
        assert float(fit.scores["variance_share"][layer]) == pytest.approx(share, rel=1e-5)


@pytest.mark.parametrize(("positive", "negative"), [(60, 60), (30, 90)])
def test_without_pairs_it_is_that_of_all_differences_of_a_positive_and_a_negative_row(
    positive, negative
):
    truth = planted(positive, negative, gap=2)
    fit = PCA.fit(truth.activations)
    x, y = truth.rows[:, CONCEPT].double().numpy(), truth.labels.numpy()
    above, below = x[y == 1], x[y == 0]
    delta = above.mean(0) - below.mean(0)
    pooled = (
        len(above) * np.cov(above.T, bias=True) + len(below) * np.cov(below.T, bias=True)
    ) / len(x)
    values, vectors = np.linalg.eigh(np.outer(delta, delta) + 2 * pooled)
    assert (
        cosine(fit.directions[CONCEPT], vectors[:, -1] * np.sign(vectors[:, -1] @ delta)) > 0.9999
    )
    share = values[-1] / values.sum()
    assert float(fit.scores["variance_share"][CONCEPT]) == pytest.approx(share, rel=1e-5)
    if positive == negative:  # all differences, one by one
        every = (above[:, None] - below[None]).reshape(-1, x.shape[1])
        assert np.allclose(every.T @ every / len(every), np.outer(delta, delta) + 2 * pooled)


def test_the_sign_is_that_of_the_majority_of_pairs():
    """Three pairs differ a little in one direction, and two far in the other."""
    halves = np.array([[1.0, 0.1], [1, -0.1], [1, 0], [-4, 0], [-4, 0.1]])
    rows = np.concatenate([halves, -halves])
    targets = np.repeat([1.0, -1.0], 5)
    found = principal_difference(principal_axes(rows), targets, paired=True)
    assert cosine(found.direction, [1, 0]) > 0.99


def test_pairs_are_groups_of_one_row_of_each_label():
    labels, groups = np.array([1, 0, 0, 1]), np.array([3, 3, 5, 5])
    assert are_pairs(labels, groups)
    assert not are_pairs(labels, np.array([3, 5, 3, 5]) + np.array([0, 0, 0, 1]))
    assert not are_pairs(np.array([1, 1, 0, 0]), np.array([3, 5, 6, 7]))
    assert not are_pairs(np.array([1, 1, 0, 0]), np.array([3, 3, 3, 3]))


def test_rows_are_centred_on_their_pairs_and_stay_as_they_are():
    rows = torch.tensor([[[1.0]], [[5.0]], [[3.0]], [[6.0]]], dtype=torch.float64)
    view = centred_on_pairs(rows, np.array([7, 2, 7, 2]))
    assert view.shape == (4, 1, 1)
    assert view[:, 0][:, 0].tolist() == [-1, -0.5, 1, 0.5]
    assert rows[:, 0, 0].tolist() == [1, 5, 3, 6]


def test_what_pairs_share_does_not_hide_the_concept():
    """A scene of ten times the spread wins where the rows are not known to be pairs."""
    activations, _, (concept, _) = pairs()
    apart = Activations.from_rows(
        activations.rows, activations.labels, torch.arange(len(activations.labels))
    )
    assert cosine(PCA.fit(activations).directions[CONCEPT], concept) > 0.95
    assert abs(cosine(PCA.fit(apart).directions[CONCEPT], concept)) < 0.7


@pytest.mark.parametrize("paired", [True, False])
def test_a_flat_spectrum_is_refused_with_its_share_and_its_null(paired):
    truth = pairs(gap=0, nuisance_variance=1)[0] if paired else planted(60, 60, gap=0).activations
    fit = PCA.fit(truth)
    assert not fit.has_direction
    assert fit.statistics["best_variance_share"] < 1.2 * fit.statistics["null_variance_share"]
    with pytest.raises(
        TonearmError,
        match=r"finds no direction: held-out auc 0\.\d\d \(95 % of permutations: up to 0\.\d\d\), "
        r"share of variance 0\.\d\d \(by chance up to 0\.\d\d\); p = [01]\.\d{3}; give more",
    ):
        require_direction(fit, "pca")


@pytest.mark.parametrize("paired", [True, False])
def test_the_share_of_a_planted_direction_is_above_its_null(paired):
    truth = pairs()[0] if paired else planted(60, 60, gap=4).activations
    statistics = PCA.fit(truth).statistics
    assert statistics["best_variance_share"] > 1.2 * statistics["null_variance_share"]
    assert statistics["p_value"] == pytest.approx(1 / 201)


def test_a_concept_on_one_coordinate_is_not_taken_for_chance():
    activations, _, _ = pairs(nuisance_variance=1, scene=0)
    rows = activations.rows.clone()
    rows[:, CONCEPT] = torch.randn(rows[:, CONCEPT].shape, generator=torch.Generator())
    rows[:, CONCEPT, 5] += 4.0 * activations.labels
    fit = PCA.fit(Activations.from_rows(rows, activations.labels, activations.groups))
    assert fit.has_direction and cosine(fit.directions[CONCEPT], np.eye(24)[5]) > 0.95


def test_labels_that_separate_do_not_make_up_for_a_flat_spectrum():
    """One dimension has a spectrum of one value, whatever the rows."""
    rows = torch.zeros(40, 1, 1)
    rows[:20] += 5
    rows += torch.randn(rows.shape, generator=torch.Generator().manual_seed(0))
    labels = (torch.arange(40) < 20).long()
    fit = PCA.fit(Activations.from_rows(rows, labels, torch.arange(40)))
    assert fit.statistics["best_auc"] > 0.95 and fit.statistics["best_variance_share"] == 1
    assert fit.statistics["p_value"] == 1 and not fit.has_direction


def test_the_text_of_the_statistics_names_both_tests():
    fit = PCA.fit(pairs()[0])
    assert "share of variance 0." in statistics_text(fit.statistics)
    assert chance_of(2.0, np.array([1.0, 2.0, 3.0])) == 0.75
