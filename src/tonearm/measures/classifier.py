"""Classifier: a small probe on a judge's embeddings, for attributes that have no formula.

Aim: to say of a clip whether it is energetic or calm, complex or minimalist, by examples of both.

    probability(label) = softmax over the labels of w(label) . x + b(label)

with x the clip's embedding; multinomial logistic regression (L2, C = 1) on standardised embeddings, the standardisation
folded into w and b.

Source: Facchiano et al. 2025, 5.2, who propose a simple classifier where no strict metric exists; Alain & Bengio 2016
for linear probes.

Accuracy is held out: up to five folds, stratified by label, that keep the clips of a track together; each clip is
judged by a probe that saw none of its track. The interval is Wilson's with n = tracks, since clips of one track are not
independent: the share is the mean over tracks. The classifier kept is fitted to all of them.

Files are safetensors: tensors `weights` [L, D] and `offsets` [L]; the rest as JSON in the metadata key
`tonearm_classifier`. A classifier works on the embeddings it was trained on and no others.

Estimator: `sklearn.linear_model.LogisticRegression`, `StratifiedGroupKFold`.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tonearm.atomic import atomic_write
from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.evaluators.base import Embedder, described, embed_sounding
from tonearm.stats import Share

FORMAT = 1
METADATA_KEY = "tonearm_classifier"
SUFFIX = ".safetensors"
FOLDS = 5
MAX_ITERATIONS = 2000


@dataclass(frozen=True)
class Classifier:
    """`weights` float64 [L, D], `offsets` float64 [L]; how good it is stands beside them."""

    name: str
    labels: tuple[str, ...]
    weights: np.ndarray
    offsets: np.ndarray
    embedder: str
    fingerprint: str  # the embedder's
    accuracy: Share  # held out, n = tracks
    chance: float  # the share of the commonest label
    confusion: tuple[tuple[int, ...], ...]  # held-out clips, [true label][told label]
    counts: Mapping[str, int]  # clips of each label
    seed: int

    @property
    def protocol(self) -> str:
        return (
            f"logistic regression on {self.embedder}; trained on {sum(self.counts.values())} clips, "
            f"held-out accuracy {self.accuracy} tracks, commonest label {100 * self.chance:.0f} %"
        )

    def probabilities(self, rows: np.ndarray) -> np.ndarray:
        """float64 [n, L] for embeddings [n, D]."""
        logits = np.asarray(rows, dtype=np.float64) @ self.weights.T + self.offsets
        weights = np.exp(logits - logits.max(1, keepdims=True))
        return weights / weights.sum(1, keepdims=True)

    def to_dict(self) -> dict[str, object]:
        """All but the weights."""
        return {
            "name": self.name,
            "labels": list(self.labels),
            "embedder": self.embedder,
            "fingerprint": self.fingerprint,
            "accuracy": self.accuracy.to_dict(),
            "chance": self.chance,
            "confusion": [list(row) for row in self.confusion],
            "counts": dict(self.counts),
            "seed": self.seed,
            "protocol": self.protocol,
        }


@dataclass(frozen=True)
class Verdict:
    """What a classifier says of one clip; `probabilities` by label, None for silence."""

    classifier: str
    probabilities: Mapping[str, float] | None
    protocol: str

    @property
    def best(self) -> str | None:
        return None if self.probabilities is None else max(self.probabilities, key=self.probabilities.__getitem__)

    def to_dict(self) -> dict[str, object]:
        return {
            "name": f"classifier {self.classifier}",  # it may be called like a measure
            "value": self.best,
            "unit": "",
            "protocol": self.protocol,
            "probabilities": self.probabilities and dict(self.probabilities),
        }


def measure_classifier(clip: Clip, classifier: Classifier, embedder: Embedder) -> Verdict:
    """What `classifier` says of one clip; raises as `measure_classifiers`."""
    return measure_classifiers([clip], classifier, embedder)[0]


def measure_classifiers(clips: Sequence[Clip], classifier: Classifier, embedder: Embedder) -> list[Verdict]:
    """What `classifier` says of each clip. Raises TonearmError where it was trained on other embeddings."""
    check_embedder(classifier, embedder)

    def told(row: np.ndarray | None) -> Verdict:
        if row is None:
            return Verdict(classifier.name, None, classifier.protocol)
        shares = classifier.probabilities(row[None])[0]
        return Verdict(
            classifier.name,
            {label: float(share) for label, share in zip(classifier.labels, shares, strict=True)},
            classifier.protocol,
        )

    return [told(row) for row in embed_sounding(clips, embedder)]


def check_embedder(classifier: Classifier, embedder: Embedder) -> None:
    if classifier.fingerprint != embedder.fingerprint:
        raise TonearmError(
            f"the classifier {classifier.name} was trained on {classifier.embedder} ({classifier.fingerprint}), this is "
            f"{described(embedder)} ({embedder.fingerprint}); give that judge with --clap, or train it again"
        )


def train_classifier(
    name: str, rows: np.ndarray, labels: Sequence[str], tracks: Sequence[str], embedder: Embedder, seed: int = 0
) -> Classifier:
    """Fit to embeddings `rows` [n, D] with a label and a track each.

    Raises TonearmError for fewer than two labels, and for a label with fewer than two tracks.
    """
    if not len(rows) == len(labels) == len(tracks):
        raise ValueError(
            f"{len(rows)} rows, {len(labels)} labels and {len(tracks)} tracks; give one of each for every clip"
        )
    names = tuple(sorted(set(labels)))
    if len(names) < 2:
        raise TonearmError(f"a classifier tells two labels or more apart; it was given {', '.join(names) or 'none'}")
    tracks_of = Counter(label for label, _ in set(zip(labels, tracks, strict=True)))
    scarce = min(names, key=tracks_of.__getitem__)
    if tracks_of[scarce] < 2:
        raise TonearmError(
            f"the label {scarce} has one track, and none can be held out; give two or more, better fifty"
        )
    rows, truth = np.asarray(rows, dtype=np.float64), np.array([names.index(label) for label in labels])
    told = _held_out(rows, truth, np.asarray(tracks), min(FOLDS, tracks_of[scarce]), seed)
    confusion = np.zeros((len(names), len(names)), dtype=int)
    np.add.at(confusion, (truth, told), 1)
    weights, offsets = _fit(rows, truth)
    return Classifier(
        name=name, labels=names, weights=weights, offsets=offsets, embedder=described(embedder), fingerprint=embedder.fingerprint,
        accuracy=_share_of_tracks(told == truth, tracks), chance=float(np.bincount(truth).max() / len(truth)),
        confusion=tuple(tuple(int(count) for count in row) for row in confusion), counts=dict(sorted(Counter(labels).items())), seed=seed,
    )  # fmt: skip


def save_classifier(classifier: Classifier, path: Path) -> Path:
    """Write a .safetensors file, never half of one."""
    from safetensors.numpy import save_file

    content = {key: value for key, value in classifier.to_dict().items() if key != "protocol"}
    # safetensors writes memory as it lies, and scikit-learn's lies in columns.
    tensors = {key: np.ascontiguousarray(getattr(classifier, key)) for key in ("weights", "offsets")}
    with atomic_write(path) as aside:
        save_file(tensors, aside, metadata={METADATA_KEY: json.dumps({"format": FORMAT, **content})})
    return path


def is_classifier(path: Path) -> bool:
    """Whether the file at `path` says that it holds a classifier."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return METADATA_KEY in (file.metadata() or {})
    except (SafetensorError, OSError):
        return False


def load_classifier(path: Path) -> Classifier:
    """Raises TonearmError for what is absent, or no classifier."""
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise TonearmError(f"no classifier at {path}; make one with `tonearm measure --train-classifier`")
    try:
        with safe_open(path, framework="numpy") as file:
            content: dict[str, Any] = json.loads((file.metadata() or {})[METADATA_KEY])
            tensors: dict[str, Any] = {
                key: np.asarray(file.get_tensor(key), dtype=np.float64) for key in ("weights", "offsets")
            }
        if content.pop("format") != FORMAT:
            raise TonearmError(f"{path} is a classifier of another format; train it again with this Tonearm")
        content["labels"], content["accuracy"] = tuple(content["labels"]), Share(**content["accuracy"])
        content["confusion"] = tuple(map(tuple, content["confusion"]))
        classifier = Classifier(**content, **tensors)
        if classifier.offsets.shape != (len(classifier.labels),) or len(classifier.weights) != len(classifier.labels):
            raise ValueError("weights and labels do not match")
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TonearmError(
            f"{path} is not a classifier ({reason}); give a file made by `tonearm measure --train-classifier`"
        ) from error
    return classifier


def _fit(rows: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights [L, D] and offsets [L] for rows as they come."""
    from sklearn.linear_model import LogisticRegression

    mean, spread = rows.mean(0), rows.std(0)
    spread = np.where(spread > 0, spread, 1.0)
    probe = LogisticRegression(max_iter=MAX_ITERATIONS).fit((rows - mean) / spread, truth)
    weights, offsets = probe.coef_ / spread, probe.intercept_ - (probe.coef_ / spread) @ mean
    if len(weights) == 1:  # two labels: scikit-learn keeps the second one's advantage over the first alone
        weights, offsets = np.concatenate([0 * weights, weights]), np.concatenate([0 * offsets, offsets])
    return weights, offsets


def _held_out(rows: np.ndarray, truth: np.ndarray, tracks: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Each clip's label, int [n], as told by a probe that saw no clip of its track."""
    from sklearn.model_selection import StratifiedGroupKFold

    told = np.empty(len(rows), dtype=int)
    for train, test in StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(rows, truth, tracks):
        seen = np.unique(truth[train])
        if len(seen) < 2:
            raise TonearmError("a fold has one label alone; give more tracks of each label")
        weights, offsets = _fit(rows[train], np.searchsorted(seen, truth[train]))
        told[test] = seen[(rows[test] @ weights.T + offsets).argmax(1)]
    return told


def _share_of_tracks(right: np.ndarray, tracks: Sequence[str]) -> Share:
    by_track: dict[str, list[bool]] = {}
    for is_right, track in zip(right, tracks, strict=True):
        by_track.setdefault(track, []).append(bool(is_right))
    return Share.of(sum(float(np.mean(of_track)) for of_track in by_track.values()), len(by_track))
