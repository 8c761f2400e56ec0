"""Rows with a known direction, for tests of methods."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from tonearm.methods import Activations
from tonearm.steering import SteeringVector

LAYERS, WIDTH, CONCEPT = 3, 24, 1  # the concept is in layer 1 alone


@dataclass(frozen=True)
class Planted:
    """Rows of two classes, whose means differ by `gap` along `concept` in layer CONCEPT.

    rows      float32 [n, LAYERS, width], with unit noise
    labels    int64 [n]
    groups    int64 [n]
    concept   unit, [width]
    nuisance  unit and orthogonal to `concept`, [width]; the rows vary along it, whatever the label
    """

    rows: torch.Tensor
    labels: torch.Tensor
    groups: torch.Tensor
    concept: np.ndarray
    nuisance: np.ndarray

    @property
    def activations(self) -> Activations:
        return Activations.from_rows(self.rows, self.labels, self.groups)


def planted(
    positive=200,
    negative=200,
    gap=3.0,
    nuisance_variance=1.0,
    rows_per_group=2,
    offset=0.0,
    width=WIDTH,
    seed=0,
) -> Planted:
    """Make planted rows.

    Args:
        positive: rows of the positive class.
        negative: likewise.
        gap: distance of the class means.
        nuisance_variance: of the noise along the nuisance.
        rows_per_group: rows of one label that share a group.
        offset: length of a random offset that the rows of a group share.
        width: of the rows.
        seed: of everything random.
    """
    rng = np.random.default_rng(seed)
    n = positive + negative
    axes = np.linalg.qr(rng.normal(size=(width, 2)))[0]
    concept, nuisance = axes[:, 0], axes[:, 1]
    labels = (np.arange(n) < positive).astype(np.int64)
    sides = [np.arange(count) // rows_per_group for count in (positive, negative)]
    groups = np.concatenate([sides[0], sides[0].max() + 1 + sides[1]])
    rows = rng.normal(size=(n, LAYERS, width))
    along = rows @ nuisance
    rows += (np.sqrt(nuisance_variance) - 1) * along[..., None] * nuisance
    rows += offset * rng.normal(size=(groups.max() + 1, 1, width))[groups] / np.sqrt(width)
    rows[:, CONCEPT] += gap * (labels - 0.5)[:, None] * concept
    mixed = rng.permutation(n)
    return Planted(
        torch.tensor(rows[mixed], dtype=torch.float32),
        torch.from_numpy(labels[mixed]),
        torch.from_numpy(groups[mixed]),
        concept,
        nuisance,
    )


def shuffled(labels: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
    """Labels [n] permuted over groups, so that they say nothing about the rows."""
    names, first = np.unique(groups, return_index=True)
    drawn = np.random.default_rng(1).permutation(labels.numpy()[first])
    return torch.from_numpy(drawn[np.searchsorted(names, groups)])


def cosine(first, second) -> float:
    first, second = (np.asarray(one, dtype=np.float64) for one in (first, second))
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))


def assert_projections(
    vector: SteeringVector, positive: torch.Tensor, negative: torch.Tensor
) -> None:
    """The vector holds the means of h·r over the rows [n, L, D] of either set."""
    info = vector.info
    for stated, rows in (
        (info.positive_projections, positive),
        (info.negative_projections, negative),
    ):
        for layer, direction in vector.directions.items():
            length = float(direction.double().norm())
            along = float((rows[:, layer].double() @ direction.double()).mean())
            expected = along / length if length else 0.0
            assert stated[layer] == pytest.approx(expected, abs=1e-4)
