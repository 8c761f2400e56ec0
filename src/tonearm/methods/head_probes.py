"""Logistic probes of single attention heads, and their held-out scores.

    minimise  |w|² / 2 + C Σ c_i log(1 + exp(-y_i (w·x_i / s + b))),    C = 1

with an intercept b, class weights c_i that give both classes the same total, and one scalar s per
layer, the root mean variance of a feature over all rows, which knows nothing of labels.

The folds are those of tonearm/methods/evaluation.py: in each rotation three folds train, one
validates and one tests. Validation parts rank heads and decide their weights; test parts, which
decided nothing, are reported. The winner of each rotation's validation part is scored on its test
part (HeldOutHeads.best_accuracy), which is free of the optimism of the choice among all heads.

Shapes: n rows; L layers; H heads of a layer; K rotations; d outputs of a head.

Source: Li et al. 2023 (ITI): logistic regression per head with C = 1, heads ranked by validation
accuracy. Ours: the scale by layer, balanced classes, grouped folds, and ties by AUC, then by the
correlation of projections with labels.
"""

from dataclasses import dataclass

import numpy as np

from tonearm.methods.base import Rows
from tonearm.methods.evaluation import DECIMALS, layers_of
from tonearm.methods.metrics import auc, balanced_accuracy, correlation
from tonearm.methods.splits import Split

C = 1.0
TOLERANCE = 1e-6  # of the gradient


@dataclass(frozen=True)
class HeadProbe:
    """Logistic probe of a head: the logit of the positive class is z·weights + bias.

    weights  float64 [d], of outputs as they are
    """

    weights: np.ndarray
    bias: float

    def logits(self, outputs: np.ndarray) -> np.ndarray:
        """Logits [n] of outputs [n, d]."""
        return np.asarray(outputs @ self.weights + self.bias)


@dataclass(frozen=True)
class HeldOutHeads:
    """Held-out scores of all heads, means over rotations.

    validation_accuracy  balanced, of parts that choose, float64 [L, H]
    validation_auc       likewise
    agreement            correlation of logits and labels on these parts, [L, H]
    accuracy             balanced, of parts that chose nothing, [L, H]
    auc                  likewise
    best_accuracy        of the head that each rotation's validation part chose, on its test part
    """

    validation_accuracy: np.ndarray
    validation_auc: np.ndarray
    agreement: np.ndarray
    accuracy: np.ndarray
    auc: np.ndarray
    best_accuracy: float

    @property
    def ranking(self) -> np.ndarray:
        """Indices l * H + h of all heads, the best by validation parts first."""
        return _ranking(self.validation_accuracy, self.validation_auc, self.agreement)

    @property
    def best_of_layers(self) -> np.ndarray:
        """The best head of each layer by validation parts, int [L]."""
        by_layer = zip(self.validation_accuracy, self.validation_auc, self.agreement, strict=True)
        return np.array([_ranking(*scores)[0] for scores in by_layer])


def feature_scale(outputs: np.ndarray) -> float:
    """Root mean variance of a feature of rows [n, D]; 1 where they are constant."""
    return float(np.sqrt(outputs.var(0).mean())) or 1.0


def fit_head(outputs: np.ndarray, labels: np.ndarray, scale: float) -> HeadProbe:
    """Fit the probe of a head; that of constant outputs says 1/2.

    Args:
        outputs: of the head, float64 [n, d].
        labels: above 0 for the positive class, [n].
        scale: s of its layer.
    """
    from sklearn.linear_model import LogisticRegression

    if not np.ptp(outputs, axis=0).any():
        return HeadProbe(np.zeros(outputs.shape[1]), 0.0)
    centre = outputs.mean(0)
    model = LogisticRegression(
        C=C, class_weight="balanced", solver="newton-cholesky", tol=TOLERANCE
    ).fit((outputs - centre) / scale, labels > 0)
    weights = model.coef_[0] / scale
    return HeadProbe(weights, float(model.intercept_[0] - weights @ centre))


def score_heads(rows: Rows, heads: int, labels: np.ndarray, splits: list[Split]) -> HeldOutHeads:
    """Score the probes of all heads on rows that they did not see.

    Args:
        rows: [n, L, D].
        heads: H.
        labels: above 0 for the positive class, [n].
        splits: K rotations.
    """
    layers = [_score_layer(outputs, heads, labels, splits) for outputs in layers_of(rows)]
    scores = np.stack(layers).round(DECIMALS)  # [L, H, K, 5]
    validation, test = scores[..., :3], scores[..., 3:]
    winners = [
        np.unravel_index(_ranking(*np.moveaxis(validation[:, :, k], -1, 0))[0], scores.shape[:2])
        for k in range(len(splits))
    ]
    nested = [test[layer, head, k, 0] for k, (layer, head) in enumerate(winners)]
    validated, validated_auc, agreement, tested, tested_auc = np.moveaxis(
        scores.mean(2).round(DECIMALS), -1, 0
    )
    return HeldOutHeads(
        validation_accuracy=validated,
        validation_auc=validated_auc,
        agreement=agreement,
        accuracy=tested,
        auc=tested_auc,
        best_accuracy=float(np.mean(nested)),
    )


def _score_layer(
    outputs: np.ndarray, heads: int, labels: np.ndarray, splits: list[Split]
) -> np.ndarray:
    """Scores [H, K, 5] in the order of HeldOutHeads; outputs [n, D]."""
    scale = feature_scale(outputs)
    scores = np.empty((heads, len(splits), 5))
    for head, own in enumerate(np.split(outputs, heads, axis=1)):
        for k, split in enumerate(splits):
            probe = fit_head(own[split.train], labels[split.train], scale)
            validated = labels[split.validation], probe.logits(own[split.validation])
            tested = labels[split.test], probe.logits(own[split.test])
            signs = np.where(validated[0] > 0, 1.0, -1.0)
            scores[head, k] = (
                _accuracy(*validated),
                _auc(*validated),
                correlation(validated[1], signs),
                _accuracy(*tested),
                _auc(*tested),
            )
    return scores


def _accuracy(labels: np.ndarray, logits: np.ndarray) -> float:
    return float(balanced_accuracy(logits, labels, np.zeros(())))


def _auc(labels: np.ndarray, logits: np.ndarray) -> float:
    return float(auc(logits[None], labels[None])[0])


def _ranking(accuracy: np.ndarray, area: np.ndarray, agreement: np.ndarray) -> np.ndarray:
    """Indices of the flattened scores, the best first: by accuracy, then AUC, then agreement."""
    return np.lexsort((agreement.ravel(), area.ravel(), accuracy.ravel()))[::-1]
