"""Classifier: a linear probe on embeddings, for attributes without a formula.

Aim: to predict an attribute such as energetic or calm from examples of both.

    probability(label) = softmax over the labels of w(label) . x + b(label)

with x the clip's embedding; multinomial logistic regression (L2, C = 1) on standardised embeddings,
the standardisation folded into w and b.

Source: Facchiano et al. 2025, 5.2, who propose a simple classifier where no strict metric exists;
Alain & Bengio 2016 for linear probes.

Accuracy is held out: up to five folds, stratified by label, that keep the clips of a track
together; each clip is predicted by a probe trained without its track. The interval is Wilson's with
n = tracks, since clips of one track are not independent: the share is the mean over tracks. The
final classifier is trained on all tracks.

Files are safetensors: tensors `weights` [L, D] and `offsets` [L]; the rest as JSON in the metadata
key `tonearm_classifier`. A classifier is valid only for the embeddings that it was trained on.

Estimator: `sklearn.linear_model.LogisticRegression`, `StratifiedGroupKFold`.
"""

import json
import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from tonearm import boundary
from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.evaluators.base import (
    Embedder,
    as_clips,
    as_embedder,
    describe_embedder,
    embed_sounding,
)
from tonearm.evaluators.embedding_set import MAX_MAGNITUDE, EmbeddingSet
from tonearm.files.atomic import atomic_write
from tonearm.files.text_file import parse_json
from tonearm.loading import loading_errors
from tonearm.schema import validated
from tonearm.stats.share import Share
from tonearm.text import check_text

FORMAT = 1
METADATA_KEY = "tonearm_classifier"
SUFFIX = ".safetensors"
FOLDS = 5
MAX_ITERATIONS = 2000
MAX_WEIGHTS = 2**26  # in a file; 0.5 GiB as 64-bit floats
REMEDY = "give a file made by `tonearm classifier`"
STORED = ConfigDict(extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True)
class Classifier:
    """A trained probe with its held-out accuracy.

    Attributes:
        name: of the attribute; not the name of the file.
        labels: L labels, sorted.
        weights: float64 [L, D].
        offsets: float64 [L].
        embedder: name and windows of the embedder.
        fingerprint: of the embedder.
        accuracy: held out, n = tracks.
        chance: share of the most common label.
        confusion: held-out clips, [true label][predicted label].
        counts: clips of each label.
        seed: of the folds.
    """

    name: str
    labels: tuple[str, ...]
    weights: np.ndarray
    offsets: np.ndarray
    embedder: str
    fingerprint: str
    accuracy: Share
    chance: float
    confusion: tuple[tuple[int, ...], ...]
    counts: Mapping[str, int]
    seed: int

    @property
    def protocol(self) -> str:
        return (
            f"logistic regression on {self.embedder}; trained on {sum(self.counts.values())} clips,"
            f" held-out accuracy {self.accuracy} tracks,"
            f" most common label {100 * self.chance:.0f} %"
        )

    def probabilities(self, rows: np.ndarray) -> np.ndarray:
        """Predict the labels of embeddings.

        Args:
            rows: embeddings [n, D].

        Returns:
            float64 [n, L], each row with the sum 1.

        Raises:
            TonearmError: the embeddings have another width than the weights.
        """
        width = self.weights.shape[1]
        if np.ndim(rows) != 2 or np.shape(rows)[1] != width:
            raise TonearmError(
                f"the classifier {self.name} takes embeddings [n, {width}], and these are "
                f"{list(np.shape(rows))}; give the embedder that it was trained on"
            )
        logits = np.asarray(rows, dtype=np.float64) @ self.weights.T + self.offsets
        weights = np.exp(logits - logits.max(1, keepdims=True))
        return weights / weights.sum(1, keepdims=True)

    def to_dict(self) -> dict[str, object]:
        """Convert all but the weights to JSON."""
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
class Prediction:
    """Probabilities of one clip by label; None for silence."""

    classifier: str
    probabilities: Mapping[str, float] | None
    protocol: str

    @property
    def best(self) -> str | None:
        """The most probable label."""
        if self.probabilities is None:
            return None
        return max(self.probabilities, key=self.probabilities.__getitem__)

    def to_dict(self) -> dict[str, object]:
        return {
            # With a prefix, since a classifier may have the name of a measure.
            "name": f"classifier {self.classifier}",
            "value": self.best,
            "unit": "",
            "protocol": self.protocol,
            "probabilities": self.probabilities and dict(self.probabilities),
        }


def measure_classifier(clip: Clip, classifier: Classifier, embedder: Embedder) -> Prediction:
    """Classify one clip; arguments and errors as `measure_classifiers`."""
    return measure_classifiers([clip], classifier, embedder)[0]


def measure_classifiers(
    clips: Sequence[Clip], classifier: Classifier, embedder: Embedder
) -> list[Prediction]:
    """Classify each clip.

    Args:
        clips: the clips.
        classifier: the trained classifier.
        embedder: the embedder that the classifier was trained on.

    Returns:
        One prediction per clip.

    Raises:
        TonearmError: the classifier was trained on another embedder.
    """
    clips, embedder = as_clips(clips, "clips"), as_embedder(embedder, "embedder")
    check_embedder(as_classifier(classifier, "classifier"), embedder)

    def predict(row: np.ndarray | None) -> Prediction:
        if row is None:
            return Prediction(classifier.name, None, classifier.protocol)
        shares = classifier.probabilities(row[None])[0]
        by_label = {
            label: float(share) for label, share in zip(classifier.labels, shares, strict=True)
        }
        return Prediction(classifier.name, by_label, classifier.protocol)

    return [predict(row) for row in embed_sounding(clips, embedder)]


def as_classifier(value: object, name: str) -> Classifier:
    """Return a classifier. Raises TonearmError for another type."""
    return boundary.instance(value, name, Classifier, "a Classifier, such as of `load_classifier`")


def check_embedder(classifier: Classifier, embedder: Embedder) -> None:
    """Raise TonearmError where `classifier` was trained on another embedder."""
    if classifier.fingerprint != embedder.fingerprint:
        raise TonearmError(
            f"the classifier {classifier.name} was trained on {classifier.embedder} "
            f"({classifier.fingerprint}), this is {describe_embedder(embedder)} "
            f"({embedder.fingerprint}); give that evaluator with --clap, or train it again"
        )


def train_classifier(
    name: str,
    rows: np.ndarray,
    labels: Sequence[str],
    tracks: Sequence[str],
    embedder: Embedder,
    seed: int = 0,
) -> Classifier:
    """Train a classifier and estimate its held-out accuracy.

    Args:
        name: of the attribute.
        rows: embeddings [n, D].
        labels: one per row.
        tracks: one per row; rows of one track are never split across folds.
        embedder: source of the embeddings.
        seed: of the folds.

    Returns:
        The classifier trained on all rows.

    Raises:
        TonearmError: fewer than two labels, a label with fewer than two tracks, or the numbers of
            rows, labels and tracks differ.
    """
    name, seed = boundary.text(name, "name"), boundary.seed(seed, boundary.MAX_SKLEARN_SEED)
    embedder = as_embedder(embedder, "embedder")
    labels = boundary.sequence(labels, "labels", boundary.text, "a list of labels")
    tracks = boundary.sequence(tracks, "tracks", boundary.text, "a list of tracks")
    rows = EmbeddingSet(rows, describe_embedder(embedder), "the training set").rows
    if not len(rows) == len(labels) == len(tracks):
        raise TonearmError(
            f"{len(rows)} rows, {len(labels)} labels and {len(tracks)} tracks; "
            "give one of each for every clip"
        )
    names = tuple(sorted(set(labels)))
    if len(names) < 2:
        raise TonearmError(
            f"a classifier needs two labels or more; it was given {', '.join(names) or 'none'}"
        )
    tracks_of = Counter(label for label, _ in set(zip(labels, tracks, strict=True)))
    scarce = min(names, key=tracks_of.__getitem__)
    if tracks_of[scarce] < 2:
        raise TonearmError(
            f"the label {scarce} has one track, and none can be held out; "
            "give two or more, better fifty"
        )
    truth = np.array([names.index(label) for label in labels])
    predicted = _held_out(rows, truth, np.asarray(tracks), min(FOLDS, tracks_of[scarce]), seed)
    confusion = np.zeros((len(names), len(names)), dtype=int)
    np.add.at(confusion, (truth, predicted), 1)
    weights, offsets = _fit(rows, truth)
    return Classifier(
        name=name,
        labels=names,
        weights=weights,
        offsets=offsets,
        embedder=describe_embedder(embedder),
        fingerprint=embedder.fingerprint,
        accuracy=_share_of_tracks(predicted == truth, tracks),
        chance=float(np.bincount(truth).max() / len(truth)),
        confusion=tuple(tuple(int(count) for count in row) for row in confusion),
        counts=dict(sorted(Counter(labels).items())),
        seed=seed,
    )


def save_classifier(classifier: Classifier, path: Path) -> Path:
    """Write a .safetensors file atomically."""
    from safetensors.numpy import save

    as_classifier(classifier, "classifier")
    path = Path(boundary.path(path, "path"))
    content = {key: value for key, value in classifier.to_dict().items() if key != "protocol"}
    # safetensors ignores strides, and scikit-learn's weights are in column order.
    tensors = {
        key: np.ascontiguousarray(getattr(classifier, key)) for key in ("weights", "offsets")
    }
    # The library's own writing leaves a temporary file, and an error of its own, on a full disk.
    data = save(tensors, metadata={METADATA_KEY: json.dumps({"format": FORMAT, **content})})
    with atomic_write(path) as partial:
        partial.write_bytes(data)
    return path


def is_classifier(path: Path) -> bool:
    """Test whether a file has a classifier's metadata."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return METADATA_KEY in (file.metadata() or {})
    except (SafetensorError, OSError, MemoryError):  # the file is mapped into memory
        return False


def load_classifier(path: str | os.PathLike[str]) -> Classifier:
    """Read a classifier. Raises TonearmError for an absent or invalid file."""
    from safetensors import safe_open

    path = Path(boundary.path(path, "classifier"))
    if not path.is_file():
        raise TonearmError(f"no classifier at {path}; train one with `tonearm classifier`")
    with (
        loading_errors(f"{path} as a classifier", REMEDY),
        safe_open(path, framework="numpy") as file,
    ):
        metadata = file.metadata() or {}
        if METADATA_KEY not in metadata:
            raise TonearmError(f"{path} is not a classifier; {REMEDY}")
        stored = _stored(parse_json(metadata[METADATA_KEY], str(path), REMEDY), path)
        weights, offsets = (_tensor(file, key, path) for key in ("weights", "offsets"))
    count = len(stored.labels)
    if weights.shape[:1] != (count,) or weights.ndim != 2 or offsets.shape != (count,):
        raise TonearmError(
            f"{path} has {count} labels, weights {list(weights.shape)} and offsets "
            f"{list(offsets.shape)}, which do not match; {REMEDY}"
        )
    if not all(np.abs(values).max(initial=0) <= MAX_MAGNITUDE for values in (weights, offsets)):
        raise TonearmError(
            f"{path} has weights that are not finite or beyond {MAX_MAGNITUDE:g}; {REMEDY}"
        )
    fields = stored.model_dump(exclude={"format", "accuracy"})
    accuracy = Share(**stored.accuracy.model_dump())
    return Classifier(**fields, accuracy=accuracy, weights=weights, offsets=offsets)


def _tensor(file: Any, key: str, path: Path) -> np.ndarray:
    """Read a tensor, float64, if it is not larger than any classifier's."""
    values = math.prod(file.get_slice(key).get_shape())
    if values > MAX_WEIGHTS:
        raise TonearmError(
            f"{path} has {values} {key}, of which {MAX_WEIGHTS} are possible; {REMEDY}"
        )
    return np.asarray(file.get_tensor(key), dtype=np.float64)


class _StoredShare(BaseModel):
    model_config = STORED
    value: Annotated[float, Field(ge=0, le=1)]
    low: Annotated[float, Field(ge=0, le=1)]
    high: Annotated[float, Field(ge=0, le=1)]
    n: Annotated[int, Field(ge=1)]


class _Stored(BaseModel):
    """Metadata of a file."""

    model_config = STORED
    format: int
    name: str
    labels: Annotated[tuple[str, ...], Field(min_length=2)]
    embedder: str
    fingerprint: str
    accuracy: _StoredShare
    chance: Annotated[float, Field(ge=0, le=1)]
    confusion: tuple[tuple[Annotated[int, Field(ge=0)], ...], ...]
    counts: dict[str, Annotated[int, Field(ge=0)]]
    seed: int

    @model_validator(mode="after")
    def _check_labels(self) -> Self:
        count = len(self.labels)
        if len(set(self.labels)) < count or set(self.counts) != set(self.labels):
            raise ValueError("labels are repeated, or are not those of the counts")
        if [len(row) for row in self.confusion] != [count] * count:
            raise ValueError("the confusion matrix does not have a row and a column for each label")
        return self


def _stored(content: Any, path: Path) -> _Stored:
    if isinstance(content, dict) and content.get("format", FORMAT) != FORMAT:
        raise TonearmError(
            f"{path} is a classifier of another format; train it again with this Tonearm"
        )
    stored: _Stored = validated(_Stored, content, f"{path} is not a file of `tonearm classifier`")
    for text in (stored.name, stored.embedder, stored.fingerprint, *stored.labels):
        check_text(text, f"a text in {path}")
    return stored


def _fit(rows: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights [L, D] and offsets [L] for rows that are not standardised."""
    from sklearn.linear_model import LogisticRegression

    mean, spread = rows.mean(0), rows.std(0)
    spread = np.where(spread > 0, spread, 1.0)
    probe = LogisticRegression(max_iter=MAX_ITERATIONS).fit((rows - mean) / spread, truth)
    weights, offsets = probe.coef_ / spread, probe.intercept_ - (probe.coef_ / spread) @ mean
    if len(weights) == 1:  # of two labels, scikit-learn keeps the logit of the second alone
        weights = np.concatenate([0 * weights, weights])
        offsets = np.concatenate([0 * offsets, offsets])
    return weights, offsets


def _held_out(
    rows: np.ndarray, truth: np.ndarray, tracks: np.ndarray, folds: int, seed: int
) -> np.ndarray:
    """Label of each clip, int [n], predicted by a probe trained without its track."""
    from sklearn.model_selection import StratifiedGroupKFold

    predicted = np.empty(len(rows), dtype=int)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    for train, test in splitter.split(rows, truth, tracks):
        seen = np.unique(truth[train])
        if len(seen) < 2:
            raise TonearmError("a fold has one label alone; give more tracks of each label")
        weights, offsets = _fit(rows[train], np.searchsorted(seen, truth[train]))
        predicted[test] = seen[(rows[test] @ weights.T + offsets).argmax(1)]
    return predicted


def _share_of_tracks(right: np.ndarray, tracks: Sequence[str]) -> Share:
    by_track: dict[str, list[bool]] = {}
    for is_right, track in zip(right, tracks, strict=True):
        by_track.setdefault(track, []).append(bool(is_right))
    means = [float(np.mean(of_track)) for of_track in by_track.values()]
    return Share.of(sum(means), len(by_track))
