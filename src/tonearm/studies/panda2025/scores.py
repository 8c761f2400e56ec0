"""Scores of a label from stored values of a take.

CLAP, against the text of the label

    pair        softmax over {source, target} of scale * cosine: the paper's score. It is relative: it
                rises where the source falls
    full        the same over all labels of the corpus
    cosine      of the clip and the label's text, which no other label enters

Classifiers, trained on pieces of the corpus that no vector was fitted to

    embeddings  logistic regression of the label on CLAP embeddings
    tags        the same on the tags of musicnn, which shares nothing with the bundled CLAP
"""

from collections.abc import Callable
from dataclasses import dataclass

from tonearm.studies.label_scores import Classifier, LabelTexts
from tonearm.studies.records import Record

Score = Callable[[Record], float | None]


@dataclass(frozen=True, eq=False)
class Scorer:
    """All scores of the labels of one column."""

    texts: LabelTexts
    by_embedding: Classifier
    by_tags: Classifier

    def scores(self, target: str, source: str) -> dict[str, Score]:
        """Scores of a target and a source by name; an empty source has none.

        Args:
            target: label.
            source: label, or empty.
        """
        texts = self.texts
        found: dict[str, Score] = {
            "full": lambda one: texts.probability(one, target),
            "cosine": lambda one: texts.cosine(one, target),
            "embeddings": lambda one: self.by_embedding.probability(one, target),
            "tags": lambda one: self.by_tags.probability(one, target),
        }
        if not source:
            return found
        return {
            "pair": lambda one: texts.probability(one, target, (source, target)),
            **found,
            "source cosine": lambda one: texts.cosine(one, source),
            "source tags": lambda one: self.by_tags.probability(one, source),
        }
