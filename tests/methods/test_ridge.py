"""The ridge family: its identities, its ends, its option and Ledoit & Wolf's shrinkage."""

import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LinearRegression, Ridge

from tests.methods.planted import CONCEPT, cosine, planted
from tonearm.errors import TonearmError
from tonearm.methods import method_named, methods, usages
from tonearm.methods.diffmean import MeanDifference
from tonearm.methods.ridge import MAX_LAMBDA, RidgeSolver


def layer(n=200, width=12, share=0.5, seed=0, factor=None):
    """Rows [n, width] in correlated noise around two class means, and signs [n, 1]."""
    rng = np.random.default_rng(seed)
    signs = np.where(np.arange(n) < share * n, 1.0, -1.0)[:, None]
    mixing = rng.normal(size=(width, width))
    rows = rng.normal(size=(n, width)) @ mixing + signs * rng.normal(size=width)
    return rows, signs


def solved(rows, targets, lam):
    return RidgeSolver((lam,)).solve(rows, targets).directions[0, 0]


def within_covariance(rows, signs):
    residuals = rows.copy()
    for sign in (1, -1):
        residuals[signs[:, 0] == sign] -= rows[signs[:, 0] == sign].mean(0)
    return residuals.T @ residuals / len(rows)


def difference(rows, signs):
    return rows[signs[:, 0] > 0].mean(0) - rows[signs[:, 0] < 0].mean(0)


@pytest.mark.parametrize("share", [0.5, 0.2])
def test_least_squares_of_labels_is_lda_and_the_zero_of_the_family(share):
    rows, signs = layer(share=share)
    found = solved(rows, signs, 0.0)
    assert cosine(found, LinearRegression().fit(rows, signs[:, 0]).coef_) > 1 - 1e-6
    assert (
        cosine(found, LinearDiscriminantAnalysis(solver="lsqr").fit(rows, signs[:, 0]).coef_[0])
        > 1 - 1e-6
    )


@pytest.mark.parametrize("share", [0.5, 0.2])
@pytest.mark.parametrize("lam", [0.01, 1.0, 50.0])
def test_between_the_ends_it_is_the_formula_and_ridge_regression(lam, share):
    rows, signs = layer(share=share)
    within = within_covariance(rows, signs)
    penalty = lam * np.trace(within) / len(within)
    formula = np.linalg.solve(within + penalty * np.eye(len(within)), difference(rows, signs))
    found = solved(rows, signs, lam)
    assert cosine(found, formula) > 1 - 1e-12
    assert cosine(found, Ridge(alpha=penalty * len(rows)).fit(rows, signs[:, 0]).coef_) > 1 - 1e-9


def test_the_far_end_is_diffmean():
    rows, signs = layer(share=0.3)
    found = solved(rows, signs, MAX_LAMBDA)
    assert cosine(found, difference(rows, signs)) > 1 - 1e-9
    assert cosine(found, MeanDifference().solve(rows, signs).directions[0, 0]) > 1 - 1e-9


def test_cosine_to_diffmean_grows_along_the_family():
    rows, signs = layer()
    cosines = [
        cosine(solved(rows, signs, lam), difference(rows, signs))
        for lam in (0, 0.01, 0.1, 1, 10, 100)
    ]
    assert cosines == sorted(cosines) and cosines[0] < 0.9 < cosines[-1]


@pytest.mark.parametrize("lam", [0.0, 0.3, None])
def test_fewer_rows_than_width_are_solved_through_the_gram_matrix(lam):
    """The same rows, padded with zeros so that they are fewer than the width."""
    rows, signs = layer(n=40, width=12)
    padded = np.concatenate([rows, np.zeros((40, 88))], axis=1)
    relative = lam if lam is None else lam * 100 / 12  # λ is in units of tr(Sw) / D
    found = solved(padded, signs, relative)
    assert not found[12:].any() and np.linalg.norm(found) == pytest.approx(1)
    if lam is not None:
        assert cosine(found[:12], solved(rows, signs, lam)) > 1 - 1e-10


def test_more_dimensions_than_rows_give_least_squares_of_the_smallest_norm():
    rng = np.random.default_rng(2)
    rows, signs = rng.normal(size=(30, 80)), np.where(np.arange(30) < 15, 1.0, -1.0)[:, None]
    found = solved(rows, signs, 0.0)
    smallest = np.linalg.pinv(rows - rows.mean(0)) @ (signs[:, 0] - signs.mean())
    assert cosine(found, smallest) > 1 - 1e-9
    assert cosine(found, solved(rows, signs, 1e-9)) > 1 - 1e-9


def test_several_targets_are_each_solved_as_alone():
    rows, signs = layer()
    other = np.random.default_rng(1).permutation(signs)
    both = RidgeSolver((1.0, None)).solve(rows, np.concatenate([signs, other], axis=1))
    for p, targets in enumerate((signs, other)):
        alone = RidgeSolver((1.0, None)).solve(rows, targets)
        assert np.allclose(both.directions[:, p], alone.directions[:, 0], atol=1e-9)
        assert np.allclose(both.regularisation[:, p], alone.regularisation[:, 0])


@pytest.mark.parametrize(("n", "width"), [(200, 12), (30, 60)])
def test_the_default_is_the_shrinkage_of_ledoit_and_wolf(n, width):
    rows, signs = layer(n=n, width=width, share=0.4)
    residuals = rows.copy()
    for sign in (1, -1):
        residuals[signs[:, 0] == sign] -= rows[signs[:, 0] == sign].mean(0)
    intensity = ledoit_wolf_shrinkage(residuals, assume_centered=True)
    found = RidgeSolver((None,)).solve(rows, signs)
    assert found.regularisation[0, 0] == pytest.approx(intensity / (1 - intensity), rel=1e-8)
    assert (
        cosine(found.directions[0, 0], solved(rows, signs, intensity / (1 - intensity))) > 1 - 1e-12
    )


def test_rows_without_any_spread_within_the_classes_give_their_difference():
    rows, signs = (
        np.repeat([[1.0, 2, 3], [4, 6, 3]], 5, axis=0),
        np.repeat([[1.0], [-1.0]], 5, axis=0),
    )
    for lam in (0.0, 1.0, None):
        assert cosine(solved(rows, signs, lam), [-3, -4, 0]) > 1 - 1e-9


def test_lda_ignores_a_nuisance_that_misleads_diffmean():
    """Class means that differ along a nuisance, too, by chance of few rows."""
    truth = planted(60, 60, gap=2, nuisance_variance=400, rows_per_group=1, seed=1)
    lda, diffmean = (method_named(name).fit(truth.activations) for name in ("lda", "diffmean"))
    along = [abs(cosine(fit.directions[CONCEPT], truth.nuisance)) for fit in (lda, diffmean)]
    assert along[0] < 0.2 < 0.5 < along[1]
    assert lda.scores["auc"][CONCEPT] > diffmean.scores["auc"][CONCEPT] + 0.1


def test_ridge_without_an_option_chooses_lambda_by_validation():
    truth = planted(60, 60, gap=2, nuisance_variance=400, rows_per_group=1, seed=1)
    fit = method_named("ridge").fit(truth.activations)
    assert fit.scores["lambda"][CONCEPT] <= 1  # DiffMean's end is misled, see above
    assert fit.scores["auc"][CONCEPT] > 0.8
    plain = method_named("ridge").fit(planted(60, 60, gap=12).activations)
    assert plain.scores["lambda"][CONCEPT] == 1000  # all λ separate perfectly: the strongest


def test_names_and_their_options():
    assert {"diffmean", "lda", "mse-probe", "ridge", "bce-probe"} <= set(methods())
    assert {"ridge[:LAMBDA]", "bce-probe[:C]", "lda"} <= set(usages())
    assert method_named("bce-probe:0.5").name == "bce-probe:0.5"
    assert method_named("bce-probe:0.5").solver.strengths == (0.5,)
    assert method_named("ridge:0.10").name == "ridge:0.1"
    assert method_named("ridge:0.1").solver.lambdas == (0.1,)
    for text in ("ridge:0", "ridge:1e6"):
        assert method_named(text).name in (text, "ridge:1e+06")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ridge:", "takes a number as its option, not ''; write ridge:0.1"),
        ("ridge:much", "takes a number as its option, not 'much'"),
        ("ridge:nan", "lambda nan is not possible; use 0"),
        ("ridge:-1", "lambda -1 is not possible"),
        ("ridge:inf", "lambda inf is not possible"),
        ("ridge:1e7", r"lambda 1e\+07 is not possible; use 0 \(LDA\) to 1e\+06 \(DiffMean\)"),
        ("bce-probe:", "takes a number as its option, not ''; write bce-probe:1"),
        ("bce-probe:0", r"C 0 is not possible; use 1e-06 \(DiffMean\) to 1e\+06"),
        ("bce-probe:nan", "C nan is not possible"),
        ("lda:1", "method lda takes no option, but '1' was given; write lda"),
        ("lasso:1", r"method 'lasso' is not known; use one of diffmean, .*ridge\[:LAMBDA\]"),
    ],
)
def test_impossible_options_are_refused(name, message):
    with pytest.raises(TonearmError, match=message):
        method_named(name)
