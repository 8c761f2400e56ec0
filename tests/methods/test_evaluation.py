"""Held-out scores: selection on validation parts, report on test parts, and the null."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from tests.methods.planted import CONCEPT, planted
from tonearm.methods.diffmean import MeanDifference
from tonearm.methods.evaluation import chance_of, evaluate
from tonearm.methods.metrics import auc
from tonearm.methods.ridge import RidgeSolver
from tonearm.methods.solver import Solved
from tonearm.methods.splits import FOLDS, grouped_folds, rotations
from tonearm.methods.task import classes, numbers

DIFFMEAN = MeanDifference()


def arguments(truth):
    return truth.rows, classes(truth.labels.numpy()), truth.groups.numpy()


@dataclass(frozen=True)
class Recorder:
    """Solver that records its rows; regularisation i looks at coordinate i alone."""

    seen: list

    regularisation = None

    def solve(self, rows, targets):
        self.seen.append(rows)
        axes = np.eye(rows.shape[1])[:, None].repeat(targets.shape[1], axis=1)
        return Solved(axes, np.zeros(axes.shape[:2]))

    def only(self, index):
        raise NotImplementedError


def test_scores_are_those_of_hand_made_rotations():
    truth = planted(60, 60, gap=1)
    rows, task, groups = arguments(truth)
    found = evaluate(rows, task, groups, DIFFMEAN, permutations=3, seed=4)
    splits = rotations(grouped_folds(task.strata, groups, FOLDS, 4))
    for name, part in (("test", "test"), ("validation", "validation")):
        expected = []
        for split in splits:
            train, held = split.train, getattr(split, part)
            x = rows[:, CONCEPT].double().numpy()
            delta = x[train & (task.targets > 0)].mean(0) - x[train & (task.targets < 0)].mean(0)
            expected.append(auc((x[held] @ delta)[None], task.targets[held][None])[0])
        assert getattr(found, name)[CONCEPT] == pytest.approx(np.mean(expected), abs=1e-8)


def test_a_solver_never_sees_the_groups_of_its_validation_and_test_parts():
    n = 60
    rows = torch.arange(n, dtype=torch.float32)[:, None, None].repeat(1, 1, 2)  # row i holds i
    groups = np.repeat(np.arange(20), 3)
    recorder = Recorder([])
    evaluate(rows, classes(np.arange(20)[groups] % 2), groups, recorder, permutations=2)
    assert len(recorder.seen) == FOLDS
    for seen in recorder.seen:
        trained = groups[seen[:, 0].astype(int)]
        assert len(trained) == 36  # three of five folds, and all rows of their groups
        assert (np.bincount(trained, minlength=20) % 3 == 0).all()


def test_regularisation_and_layer_are_chosen_by_validation():
    """Coordinate 2 of layer 1 holds the label; the solver's regularisations are the coordinates."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(100, 3, 4))
    labels = np.arange(100) % 2
    rows[:, 1, 2] += 6 * labels
    found = evaluate(
        torch.tensor(rows), classes(labels), np.arange(100), Recorder([]), permutations=50
    )
    assert found.choice[1] == 2 and found.best_layer == 1
    assert found.test[1] > 0.99 and found.best > 0.99
    assert found.accuracy[1] > 0.95
    # test parts had no part in the choice: other layers are at chance, validation is above it
    assert found.validation[[0, 2]].mean() > 0.5 > found.test[[0, 2]].mean() - 0.05


def test_the_report_of_the_best_layer_is_free_of_the_optimism_of_its_choice():
    """Forty layers of noise: the largest score is above chance, the reported one is not."""
    rng = np.random.default_rng(1)
    rows = torch.tensor(rng.normal(size=(60, 40, 8)))
    found = evaluate(rows, classes(np.arange(60) % 2), np.arange(60), DIFFMEAN)
    assert found.test.max() > 0.6
    assert found.best < 0.6
    assert found.null_limit > 0.65 and found.p_value > 0.05


def test_the_null_rejects_at_its_level():
    """Labels without meaning, in groups of unequal size with offsets of their own."""
    p_values = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        groups = np.repeat(np.arange(24), rng.integers(1, 4, 24))
        rows = rng.normal(size=(len(groups), 2, 6)) + 2 * rng.normal(size=(24, 1, 6))[groups]
        task = classes((np.arange(24) % 2)[groups])
        found = evaluate(torch.tensor(rows), task, groups, DIFFMEAN, permutations=39, seed=seed)
        p_values.append(found.p_value)
    assert np.mean(np.array(p_values) <= 0.05) <= 0.1
    assert 0.3 < np.mean(p_values) < 0.7


def test_the_null_is_within_its_range_for_a_planted_direction():
    found = evaluate(*arguments(planted(gap=4)), RidgeSolver((None,)), permutations=99)
    assert found.p_value == 0.01 and len(found.null) == 99
    assert found.null.min() > 0.4 and found.null.max() < 0.75


def test_numbers_are_scored_by_correlation_and_have_no_accuracy():
    rng = np.random.default_rng(2)
    y = rng.normal(size=90)
    rows = rng.normal(size=(90, 2, 5))
    rows[:, 1, 3] += 3 * y
    found = evaluate(torch.tensor(rows), numbers(y), np.arange(90), RidgeSolver((None,)))
    assert found.test[1] > 0.9 and found.best_layer == 1 and abs(found.test[0]) < 0.3
    assert np.isnan(found.accuracy).all() and found.p_value == pytest.approx(1 / 201)


def test_scores_that_differ_by_their_rounding_are_ties():
    null = np.full(200, round(5 / 6, 9))
    assert chance_of(5 / 6, null) == 1 and chance_of(6 / 7, null) == 1 / 201
