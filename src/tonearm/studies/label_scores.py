"""Scores of a label from stored values of a take: by the texts of CLAP, and by classifiers.

A classifier is trained on pieces with labels, on CLAP embeddings or on the tags of musicnn, which
shares nothing with the bundled CLAP.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tonearm.errors import TonearmError
from tonearm.evaluators.base import AudioTextEmbedder
from tonearm.measures.zero_shot import TEMPLATE, check_labels
from tonearm.stats.share import Share
from tonearm.studies.records import Record

FOLDS, C = 5, 0.1
LEAST = 1e-3  # of a tag's probability, before its logarithm


def plain_name(label: str) -> str:
    """A label without case, spaces and punctuation, so that "Hip-Hop" is "hip hop"."""
    return "".join(letter for letter in label.lower() if letter.isalnum())


def known_labels(clap: AudioTextEmbedder, labels: Iterable[str]) -> list[str]:
    """Labels with a word in an evaluator's vocabulary, sorted."""

    def is_known(label: str) -> bool:
        try:
            clap.check_words(label)
        except TonearmError:
            return False
        return True

    return sorted(label for label in labels if is_known(label))


@dataclass(frozen=True, eq=False)
class LabelTexts:
    """Embedded texts of labels.

    labels  in order
    rows    float64 [L, D], unit rows
    scale   of the logits
    """

    labels: tuple[str, ...]
    rows: np.ndarray
    scale: float

    @classmethod
    def of(cls, clap: AudioTextEmbedder, labels: Sequence[str]) -> "LabelTexts":
        """Embed labels in the template of zero-shot classification.

        Raises:
            TonearmError: a label without a word in the evaluator's vocabulary.
        """
        check_labels(labels, TEMPLATE, clap)
        rows = clap.embed_texts([TEMPLATE.format(label) for label in labels])
        return cls(tuple(labels), rows.astype(np.float64), clap.logit_scale)

    def cosine(self, record: Record, label: str) -> float | None:
        """Cosine of a take and a label; None for silence."""
        if record["embedding"] is None:
            return None
        return float(self.rows[self._index(label)] @ np.array(record["embedding"]))

    def probability(
        self, record: Record, label: str, among: Sequence[str] | None = None
    ) -> float | None:
        """Probability of a label among some; None for silence.

        Args:
            record: of a take.
            label: one of `among`.
            among: labels of the softmax; None for all.
        """
        if record["embedding"] is None:
            return None
        compared = list(self.labels if among is None else among)
        members = self.rows[[self._index(one) for one in compared]]
        logits = self.scale * (members @ np.array(record["embedding"]))
        weights = np.exp(logits - logits.max())
        chosen = [plain_name(one) for one in compared].index(plain_name(label))
        return float(weights[chosen] / weights.sum())

    def _index(self, label: str) -> int:
        return [plain_name(one) for one in self.labels].index(plain_name(label))


@dataclass(frozen=True, eq=False)
class Classifier:
    """Logistic regression of a label.

    features  of a record; None where it has none
    model     fitted
    accuracy  by label on music that did not train it, in FOLDS folds
    """

    features: Callable[[Record], np.ndarray | None]
    model: Any
    accuracy: Mapping[str, Share]

    @classmethod
    def trained(
        cls,
        pieces: Sequence[Record],
        column: str,
        features: Callable[[Record], np.ndarray | None],
        music: Callable[[Record], str] | None = None,
    ) -> "Classifier":
        """Train on pieces.

        Args:
            pieces: records with labels.
            column: of the label.
            features: of a record.
            music: identity of a record's music; records of the same music, such as a piece with
                and without its drums, are in the same fold. Default: each is music of its own.
        """
        known = [(row, one) for one in pieces if (row := features(one)) is not None]
        x, y = np.array([row for row, _ in known]), np.array([one[column] for _, one in known])
        model = make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=1000))
        folds = max(2, min(FOLDS, *np.unique(y, return_counts=True)[1].tolist()))
        kind = StratifiedKFold if music is None else StratifiedGroupKFold
        groups = None if music is None else [music(one) for _, one in known]
        guessed = cross_val_predict(
            model, x, y, groups=groups, cv=kind(folds, shuffle=True, random_state=0)
        )
        accuracy = {
            str(label): Share.of(int((guessed[y == label] == label).sum()), int((y == label).sum()))
            for label in np.unique(y)
        }
        return cls(features, model.fit(x, y), accuracy)

    def probability(self, record: Record, label: str) -> float | None:
        """Probability of a label; None where the record has no features."""
        row = self.features(record)
        if row is None:
            return None
        labels = [plain_name(one) for one in self.model.classes_]
        return float(self.model.predict_proba([row])[0, labels.index(plain_name(label))])


def embedding(record: Record) -> np.ndarray | None:
    """CLAP embedding of a take."""
    found = record.get("embedding")
    return None if found is None else np.array(found)


def tag_logits(record: Record) -> np.ndarray | None:
    """Logits of the tags of musicnn."""
    found = record.get("tags")
    if found is None:
        return None
    p = np.clip(np.array([found[tag] for tag in sorted(found)]), LEAST, 1 - LEAST)
    return np.log(p / (1 - p))
