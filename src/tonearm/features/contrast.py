"""Features that separate two sets of clips, and the steering vector that they make.

The value of a feature for a clip is the maximum of a_f over its frames, without a threshold; mean+
and mean- are the means over the clips of either set.

    rule        score of f for the positive set                  for the negative set
    tada        mean+ log(1 + 1 / (mean- + 1e-6))                 mean- log(1 + 1 / (mean+ + 1e-6))
    difference  mean+ - mean-                                     mean- - mean+
    cohen       (mean+ - mean-) / pooled standard deviation       the negative of it

    r = unit of (sum of the columns of W_dec of the best features of the positive set
                 - the same of the negative set)
    v = (r . delta) r,  delta the difference of the mean activations of the two sets

so that strength 1 moves the mean projection of the negative set onto that of the positive one, as
for every method (docs/methods.md). A feature that is among the best of both sets cancels.

Sets of enough tracks have the held-out AUC of sum z+ - sum z- over the selected features, with the
permutation null of all methods (tonearm/methods/evaluation.py); the selection is repeated in each
fold. Otherwise there is no test.

Shapes: n clips; m frames; F features; D width; P targets.

Source: TADA (feature selection on ACE-Step): the score, the maximum over time and 20 features a
side.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from tonearm import boundary
from tonearm.activations.clips import Clips
from tonearm.errors import TonearmError
from tonearm.features.autoencoder import feature_values
from tonearm.features.tracks import rows_of_clips
from tonearm.features.trained import TrainedAutoencoder
from tonearm.features.vectors import DECIMALS, vector_info
from tonearm.hashing import hash_texts
from tonearm.methods.base import MAX_P_VALUE, NoDirection, statistics_text
from tonearm.methods.evaluation import evaluate
from tonearm.methods.solver import Solved, unit
from tonearm.methods.splits import can_hold_out
from tonearm.methods.task import classes
from tonearm.model import Model
from tonearm.progress import Progress
from tonearm.steering import SteeringVector
from tonearm.text import quoted

RULES = ("tada", "difference", "cohen")
TINY = 1e-6


@dataclass(frozen=True)
class Contrast:
    """Result of a selection: the vector, and the features whose columns it adds and subtracts."""

    vector: SteeringVector
    positive: tuple[int, ...]
    negative: tuple[int, ...]


@dataclass(frozen=True)
class FeatureSelection:
    """Solver (tonearm/methods/solver.py) whose directions select features.

    rule   of the scores
    count  features a side, at most
    """

    rule: str
    count: int

    @property
    def regularisation(self) -> None:
        return None

    def solve(self, rows: np.ndarray, targets: np.ndarray) -> Solved:
        """Select features by rows [n, F] for targets [n, P]."""
        signs = selected(rows, targets, self.rule, self.count)
        return Solved(unit(signs)[None], np.zeros((1, targets.shape[1])))

    def only(self, index: int) -> "FeatureSelection":
        return self


def selected(rows: np.ndarray, targets: np.ndarray, rule: str, count: int) -> np.ndarray:
    """Select the features with the best scores for either set.

    Args:
        rows: values of features, not negative, [n, F].
        targets: above 0 for the positive set, [n, P].
        rule: of the scores.
        count: features a side, at most; those without a positive score are left out.

    Returns:
        1 for features of the positive set, -1 for those of the negative one, else 0; float64
        [P, F].
    """
    positive = (targets > 0).T.astype(np.float64)  # [P, n]
    weights = positive / positive.sum(1, keepdims=True)
    others = (1 - positive) / (1 - positive).sum(1, keepdims=True)
    above, below = weights @ rows, others @ rows
    if rule == "tada":
        gain = above * np.log1p(1 / (below + TINY))
        loss = below * np.log1p(1 / (above + TINY))
    else:
        gain = above - below
        if rule == "cohen":
            squares = weights @ np.square(rows) - above**2 + others @ np.square(rows) - below**2
            spread = np.sqrt(np.maximum(squares, 0) / 2)
            gain = np.divide(gain, spread, out=np.zeros_like(gain), where=spread > 0)
        loss = -gain
    return _best(gain, count) - _best(loss, count)


def _best(scores: np.ndarray, count: int) -> np.ndarray:
    """1 at the `count` highest positive scores of each row [P, F], else 0."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    found = np.zeros_like(scores)
    np.put_along_axis(found, order, 1.0, axis=1)
    return found * (scores > 0)


def check_selection(trained: TrainedAutoencoder, rule: str, count: int) -> None:
    """Raise TonearmError for an unknown rule or a number of features that is not possible."""
    if rule not in RULES:
        raise TonearmError(f"rule {quoted(rule)} is not known; use one of {', '.join(RULES)}")
    if not 1 <= count <= trained.info.features:
        raise TonearmError(
            f"{count} features a side are not possible; use 1 to {trained.info.features}"
        )


def contrast_features(
    model: Model,
    trained: TrainedAutoencoder,
    positive: Clips,
    negative: Clips,
    name: str,
    *,
    rule: str = "tada",
    count: int = 20,
    positive_label: str = "more",
    negative_label: str = "less",
    progress: Progress | None = None,
) -> Contrast:
    """Make a steering vector of the features that separate two sets of clips.

    Args:
        model: that the autoencoder was trained on.
        trained: the autoencoder.
        positive: clips with the attribute.
        negative: clips without it, or with its opposite.
        name: of the vector.
        rule: of the scores.
        count: features a side, at most.
        positive_label: meaning of a positive strength.
        negative_label: meaning of a negative strength.
        progress: called with clips done and clips in all.

    Raises:
        TonearmError: another model, an unknown rule, a count that is not possible, a track in both
            sets, no feature that differs, features that point against the difference of the sets,
            or a selection within its permutation null.
    """
    boundary.text(name, "name")
    check_selection(trained, rule, count)
    shared = sorted(set(positive.tracks) & set(negative.tracks))
    if shared:
        raise TonearmError(f"{shared[0]!r} is in both sets; keep it in one of them")
    trained.check_model(model.shape)
    total = len(positive) + len(negative)

    def report(before: int) -> Progress:
        return lambda done, _: progress(before + done, total) if progress else None

    above = _measured(model, trained, positive, report(0))
    below = _measured(model, trained, negative, report(len(positive)))
    peaks = np.concatenate([above.peaks, below.peaks])
    labels = np.repeat([1, 0], [len(positive), len(negative)])
    signs = selected(peaks, classes(labels).targets[:, None], rule, count)[0]
    statistics = _held_out(peaks, labels, [*_tracks(positive), *_tracks(negative)], rule, count)
    if statistics.get("p_value", 0.0) > MAX_P_VALUE:
        raise NoDirection(
            f"the selected features separate the two sets no better than chance: "
            f"{statistics_text(statistics)}; give more clips, or sets that differ in one attribute"
        )
    direction, means = _direction(trained, signs, above.mean, below.mean)
    layer = trained.info.layer
    info = vector_info(
        trained,
        name,
        method=f"sae-{rule}",
        positive_label=positive_label,
        negative_label=negative_label,
        positive_count=len(positive),
        negative_count=len(negative),
        source="audio" if positive.records[0].text is None else "prompts",
        data_hash=hash_texts(_tracks(positive), _tracks(negative)),
        positive_projections={layer: round(means[0], DECIMALS)},
        negative_projections={layer: round(means[1], DECIMALS)},
        statistics={key: round(value, DECIMALS) for key, value in statistics.items()},
    )
    vector = SteeringVector({layer: torch.from_numpy(direction).float()}, info)
    return Contrast(
        vector,
        tuple(np.flatnonzero(signs > 0).tolist()),
        tuple(np.flatnonzero(signs < 0).tolist()),
    )


@dataclass(frozen=True)
class _Measured:
    """`peaks` of each clip, float64 [n, F]; `mean` activation, float64 [D]."""

    peaks: np.ndarray
    mean: np.ndarray


def _measured(
    model: Model, trained: TrainedAutoencoder, clips: Clips, progress: Progress
) -> _Measured:
    peaks = torch.zeros(len(clips), trained.info.features)
    total, count = torch.zeros(trained.info.width, dtype=torch.float64), 0
    for first, rows, clip in rows_of_clips(model, trained, clips):
        values = feature_values(trained.weights, rows)
        where = (first + clip)[:, None].expand_as(values)
        peaks.scatter_reduce_(0, where, values, "amax")
        total += rows.double().sum(0)
        count += len(rows)
        progress(first + int(clip.max()) + 1, len(clips))
    return _Measured(peaks.double().numpy(), (total / count).numpy())


def _tracks(clips: Clips) -> list[str]:
    return [one.track for one in clips.records]


def _held_out(
    peaks: np.ndarray, labels: np.ndarray, tracks: Sequence[str], rule: str, count: int
) -> dict[str, float]:
    """Held-out AUC of the selection with its null; nothing where a set has too few tracks."""
    groups = np.unique(tracks, return_inverse=True)[1]
    if not can_hold_out(labels, groups):
        return {}
    rows = torch.from_numpy(peaks)[:, None]
    found = evaluate(rows, classes(labels), groups, FeatureSelection(rule, count))
    return {"best_auc": found.best, "null_auc": found.null_limit, "p_value": found.p_value}


def _direction(
    trained: TrainedAutoencoder, signs: np.ndarray, above: np.ndarray, below: np.ndarray
) -> tuple[np.ndarray, tuple[float, float]]:
    """The vector, float64 [D], and the mean projections of both sets on its unit direction."""
    total = signs @ trained.weights.decoder.double().numpy()
    length = np.linalg.norm(total)
    if not length:
        raise NoDirection(
            "no feature separates the two sets; give sets that differ, or another layer"
        )
    r = total / length
    projections = float(r @ above), float(r @ below)
    if projections[0] <= projections[1]:
        raise NoDirection(
            "the selected features point against the difference of the two sets, so that the sign "
            "of the vector has no meaning; select fewer features, use another rule, or another "
            "layer"
        )
    return (projections[0] - projections[1]) * r, projections
