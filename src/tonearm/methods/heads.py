"""Directions of single attention heads, joined to one direction per layer.

For each head (l, h), with outputs z of its rows:

    θ = unit(mean of z over the positive set - mean over the negative set)
    σ = standard deviation of z·θ over the rows of both sets
    v_l = [w_l0 σ_l0 θ_l0, w_l1 σ_l1 θ_l1, ...]

so that operator add at site heads, each layer its own direction (all-to-all), is the published
intervention: z <- z + α w σ θ at strength α. The methods differ in the weights w:

    iti     1 for the K heads of the highest accuracy, 0 for the others      (Li et al. 2023; α = 15)
    smitin  ((acc - min acc) / (max acc - min acc))³ for all heads           (Koo et al. 2025; α = 5,
                                                                             10 for text-to-music)

acc is the balanced accuracy of the head's probe on validation parts (head_probes.py), at least 0.5,
which is chance. Where all heads have one accuracy, all weights are 1.

The permutation null is that of the directions θ, over all heads: `null_auc` is the best head's AUC
that 95 % of permutations do not exceed. `best_auc` is the AUC along θ of the head that each
rotation's validation part chose, on its test part; `best_accuracy` is that of the probes likewise.

The vector names no best layer: a direction of one layer's heads means nothing to other heads.

Shapes: n rows; L layers; H heads of a layer; d outputs of a head; D = H d.

Source: Li et al. 2023, Inference-Time Intervention (K = 48 of 1,024 heads; mean differences beat the
weights of probes; σ over a tuning set); Koo et al. 2025, SMITIN (weights, monitor). Ours: balanced
accuracy with its floor, σ over the rows that the vector is learned from, the share of heads on small
checkpoints, and the monitor's threshold from test parts.
"""

from typing import ClassVar

import numpy as np
import torch

from tonearm.backend import Site
from tonearm.errors import TonearmError
from tonearm.methods.base import Activations, Fit, Method, Needs, Rows, register
from tonearm.methods.diffmean import MeanDifference
from tonearm.methods.evaluation import evaluate, layers_of
from tonearm.methods.head_probes import (
    HeldOutHeads,
    feature_scale,
    fit_head,
    score_heads,
)
from tonearm.methods.head_rows import HeadRows, heads_of
from tonearm.methods.probe import SEED
from tonearm.methods.solver import unit
from tonearm.methods.splits import FOLDS, MIN_GROUPS, can_hold_out, grouped_folds, rotations
from tonearm.methods.task import Task, classes
from tonearm.steering.monitor import Monitor
from tonearm.text import quoted

TOP_HEADS, MONITORED_HEADS = 48, 16  # as published
SHARE = 8  # at most one head in eight, where a checkpoint has few
CHANCE = 0.5
EXPONENT = 3
MAX_DIGITS = 6  # of a number of heads


def few_heads(published: int, total: int) -> int:
    """The published number of heads, but at most one in SHARE, and 1 or more."""
    return max(1, min(published, total // SHARE))


def smitin_weights(accuracy: np.ndarray) -> np.ndarray:
    """Weights of heads, from 0 for the worst to 1 for the best; 1 where all are equal.

    Args:
        accuracy: of any shape; below CHANCE counts as CHANCE.
    """
    floored = np.maximum(accuracy, CHANCE)
    lowest, highest = floored.min(), floored.max()
    if lowest == highest:
        return np.ones_like(floored)
    return np.asarray(((floored - lowest) / (highest - lowest)) ** EXPONENT)


def top_weights(ranking: np.ndarray, count: int) -> np.ndarray:
    """Weights [L * H] of 1 for the first `count` of a ranking of all heads, else 0."""
    weights = np.zeros(len(ranking))
    weights[ranking[:count]] = 1
    return weights


def scaled_directions(outputs: np.ndarray, heads: int, task: Task) -> np.ndarray:
    """Compute σ θ of every head of a layer.

    Args:
        outputs: [n, D].
        heads: H.
        task: two classes.

    Returns:
        float64 [H, d]; zero for a head whose two means are equal.
    """
    thetas = unit(task.contrast(outputs).reshape(heads, -1))
    along = np.einsum("nhd,hd->nh", outputs.reshape(len(outputs), heads, -1), thetas)
    return along.std(0)[:, None] * thetas


def monitor_of(rows: Rows, heads: int, labels: np.ndarray, held_out: HeldOutHeads) -> Monitor:
    """Fit the probes of the best heads to all rows.

    The threshold is the median of their accuracies on test parts, less the standard deviation.

    Args:
        rows: [n, L, D].
        heads: H.
        labels: above 0 for the positive class, [n].
        held_out: scores of all heads.
    """
    chosen = held_out.ranking[: few_heads(MONITORED_HEADS, held_out.accuracy.size)]
    probes = []
    for layer, head in zip(*np.divmod(chosen, heads), strict=True):
        outputs = rows[:, int(layer)].double().numpy()
        own = outputs.reshape(len(outputs), heads, -1)[:, head]
        probes.append(fit_head(own, labels, feature_scale(outputs)))
    accuracy = held_out.accuracy.ravel()[chosen]
    return Monitor(
        layers=torch.from_numpy(chosen // heads),
        heads=torch.from_numpy(chosen % heads),
        weights=torch.tensor(np.stack([one.weights for one in probes]), dtype=torch.float32),
        biases=torch.tensor([one.bias for one in probes], dtype=torch.float32),
        threshold=max(0.0, float(np.median(accuracy) - accuracy.std())),
    )


class HeadMethod:
    """Fits every head, and weighs the heads."""

    name: str
    needs: ClassVar[Needs] = "rows"
    site: ClassVar[Site] = "heads"

    def weights(self, held_out: HeldOutHeads) -> np.ndarray:
        """Weights of the heads, [L, H]."""
        raise NotImplementedError

    def fit(self, activations: Activations) -> Fit:
        """Fit directions [L, D] and a monitor.

        Raises TonearmError for another site, too few groups or equal activations.
        """
        rows, labels, groups = activations.labelled_rows()
        heads = heads_of(activations, self.name)
        if not can_hold_out(labels, groups):
            raise TonearmError(
                f"method {self.name} tests its heads on held-out examples and needs {MIN_GROUPS} "
                "or more on each side; give more, or use method diffmean with site heads"
            )
        task = classes(labels)
        directions = np.stack([scaled_directions(one, heads, task) for one in layers_of(rows)])
        if not directions.any():
            raise TonearmError(
                "the activations of both sides have the same mean, so there is no direction "
                "between them; give sets that differ"
            )
        splits = rotations(grouped_folds(task.strata, groups, FOLDS, SEED))
        held_out = score_heads(rows, heads, labels, splits)
        tested = evaluate(HeadRows(rows, heads), task, groups, MeanDifference(), seed=SEED)
        weights = self.weights(held_out)
        weighted = weights[..., None] * directions
        best = held_out.best_of_layers
        return Fit(
            directions=torch.tensor(weighted, dtype=torch.float32).flatten(1),
            scores={
                name: torch.from_numpy(np.take_along_axis(values, best[:, None], 1)[:, 0])
                for name, values in (("auc", held_out.auc), ("accuracy", held_out.accuracy))
            },
            head_scores={
                name: torch.from_numpy(values)
                for name, values in (
                    ("accuracy", held_out.accuracy),
                    ("auc", held_out.auc),
                    ("weight", weights),
                )
            },
            monitor=monitor_of(rows, heads, labels, held_out),
            statistics={
                "best_auc": tested.best,
                "null_auc": tested.null_limit,
                "p_value": tested.p_value,
                "best_accuracy": held_out.best_accuracy,
            },
        )


class ITI(HeadMethod):
    """The heads of the highest accuracy, with equal weights.

    count  K; None takes TOP_HEADS, or one head in SHARE where that is less
    """

    option: ClassVar[str] = "K"

    def __init__(self, count: int | None = None):
        self.name = "iti" if count is None else f"iti:{count}"
        self.count = count

    def with_option(self, text: str) -> Method:
        """Return the method with K from a text. Raises TonearmError for another text."""
        digits = text.strip()
        if not (
            digits.isascii()
            and digits.isdecimal()
            and int(digits[:MAX_DIGITS]) > 0
            and len(digits) <= MAX_DIGITS
        ):
            raise TonearmError(
                f"method iti takes a number of heads as its option, from 1, not {quoted(text)}; "
                f"write iti:{TOP_HEADS}, or iti for the default"
            )
        return ITI(int(digits))

    def weights(self, held_out: HeldOutHeads) -> np.ndarray:
        """Weights of the heads, [L, H]. Raises TonearmError for more heads than there are."""
        shape = held_out.accuracy.shape
        total = held_out.accuracy.size
        count = few_heads(TOP_HEADS, total) if self.count is None else self.count
        if count > total:
            raise TonearmError(
                f"{self.name} takes more heads than there are: {total} in {shape[0]} layers; use "
                f"iti:{few_heads(TOP_HEADS, total)}"
            )
        return top_weights(held_out.ranking, count).reshape(shape)


class SMITIN(HeadMethod):
    """All heads, weighted by their accuracy."""

    name = "smitin"

    def weights(self, held_out: HeldOutHeads) -> np.ndarray:
        """Weights of the heads, [L, H]."""
        return smitin_weights(held_out.validation_accuracy)


register(ITI())
register(SMITIN())
