"""Several classes: one against the rest, and one against one."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression

from tests.methods.planted import cosine
from tonearm.errors import TonearmError
from tonearm.methods import fit_one_against_one, fit_one_hot

GENRES = ("jazz", "rock", "folk")
WIDTH = 12


def genres(per_class=60, gap=4.0, seed=0):
    """Rows whose class means lie along one axis per genre in layer 1; two rows of a track."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(GENRES, per_class)
    axes = np.linalg.qr(rng.normal(size=(WIDTH, 3)))[0].T
    rows = rng.normal(size=(len(labels), 2, WIDTH))
    for genre, axis in zip(GENRES, axes, strict=True):
        rows[labels == genre, 1] += gap * axis
    tracks = [f"{label}.{i // 2:05}" for i, label in enumerate(labels)]
    return torch.tensor(rows, dtype=torch.float32), labels.tolist(), tracks, axes


def test_each_class_has_a_direction_away_from_the_others():
    rows, labels, tracks, axes = genres()
    fits = fit_one_hot(rows, labels, tracks)
    assert list(fits) == sorted(GENRES)
    for i, genre in enumerate(GENRES):
        others = np.delete(axes, i, axis=0).mean(0)
        assert cosine(fits[genre].directions[1], axes[i] - others) > 0.93
        assert fits[genre].best_layer == 1 and fits[genre].scores["auc"][1] > 0.95


def test_with_the_mse_probe_the_directions_are_the_columns_of_a_one_hot_probe():
    rows, labels, tracks, _ = genres()
    fits = fit_one_hot(rows, labels, tracks, "mse-probe")
    names = sorted(GENRES)
    one_hot = np.array([[label == name for name in names] for label in labels], dtype=float)
    probe = LinearRegression().fit(rows[:, 1].double().numpy(), one_hot)
    for column, name in enumerate(names):
        assert cosine(fits[name].directions[1], probe.coef_[column]) > 1 - 1e-6


def test_one_against_one_leaves_the_other_classes_out():
    rows, labels, tracks, _ = genres()
    fit = fit_one_against_one(rows, labels, tracks, "jazz", "folk", "diffmean")
    is_jazz, is_folk = (np.array(labels) == genre for genre in ("jazz", "folk"))
    assert torch.allclose(fit.directions, rows[is_jazz].mean(0) - rows[is_folk].mean(0), atol=1e-5)
    assert fit.has_direction and fit.best_layer == 1
    back = fit_one_against_one(rows, labels, tracks, "folk", "jazz", "diffmean")
    assert torch.allclose(back.directions, -fit.directions, atol=1e-6)


def test_a_class_without_a_direction_is_marked():
    rows, labels, tracks, _ = genres()
    names = np.array(labels)
    noise = torch.tensor(np.random.default_rng(9).normal(size=rows.shape), dtype=torch.float32)
    fits = fit_one_hot(noise, names, tracks)
    assert not any(fit.has_direction for fit in fits.values())


def test_numbers_are_labels_too():
    rows, labels, tracks, _ = genres()
    numbered = [GENRES.index(label) for label in labels]
    groups = torch.arange(len(labels))
    assert list(fit_one_hot(rows, numbered, groups)) == ["0", "1", "2"]
    assert fit_one_against_one(rows, numbered, tracks, 0, 1).has_direction


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(labels=["jazz"] * 180), "all labels are 'jazz'; give rows of two or more"),
        (dict(labels=["jazz"]), "labels has 1 entries for 180 rows"),
        (dict(labels="jazz"), "labels 'jazz' is of type str; give a text or a whole number"),
        (dict(groups=[0] * 180), "method lda .* needs 6 or more on each side"),
        (dict(method="ridge:x"), "takes a number"),
    ],
)
def test_impossible_arguments_are_refused(change, message):
    rows, labels, tracks, _ = genres()
    with pytest.raises(TonearmError, match=message):
        fit_one_hot(**(dict(rows=rows, labels=labels, groups=tracks) | change))


@pytest.mark.parametrize(
    ("ends", "message"),
    [
        (("jazz", "metal"), "no row has the label 'metal'; use two of folk, jazz, rock"),
        (("jazz", "jazz"), "positive and negative are both 'jazz'"),
    ],
)
def test_impossible_pairs_are_refused(ends, message):
    rows, labels, tracks, _ = genres()
    with pytest.raises(TonearmError, match=message):
        fit_one_against_one(rows, labels, tracks, *ends)
