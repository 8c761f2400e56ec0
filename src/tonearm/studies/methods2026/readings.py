"""Readings of an attribute from the stored values of a take.

A reading has an axis on which changes are differences: octaves of BPM and Hz, decibels, rates,
cosines, and logits of probabilities. Two readings of one attribute are of different families: signal
processing, musicnn (trained by others on real music), basic-pitch (likewise), and the bundled
evaluators. The bundled CLAP and the bundled beat tracker share training data and count as one family.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import log, log2
from typing import ClassVar, Literal, Protocol

import numpy as np

from tonearm.studies.label_scores import LEAST, Classifier, LabelTexts
from tonearm.studies.records import Record

Family = Literal["signal", "bundled", "musicnn", "basic-pitch"]
GENRE, DRUMS = "genre", "drums"  # names of the classifiers


@dataclass(frozen=True)
class Evaluators:
    """What readings compare a record with.

    texts        embedded by the bundled CLAP
    classifiers  by name, on the tags of musicnn
    """

    texts: LabelTexts
    classifiers: Mapping[str, Classifier]


class Reading(Protocol):
    """A number of a take that rises or falls with an attribute.

    sense  1 where it rises with the attribute, -1 where it falls
    """

    @property
    def name(self) -> str: ...

    @property
    def family(self) -> Family: ...

    @property
    def unit(self) -> str: ...

    @property
    def groups(self) -> tuple[str, ...]: ...

    @property
    def sense(self) -> int: ...

    def value(self, record: Record, evaluators: Evaluators) -> float | None:
        """The number on the reading's axis; None where the take has none."""
        ...


@dataclass(frozen=True)
class Level:
    """A measure of a take.

    measure  in the record
    group    that measures it
    octaves  whether changes are differences of the logarithm to base 2
    """

    measure: str
    group: str
    unit: str
    family: Family = "signal"
    octaves: bool = False
    sense: int = 1

    @property
    def name(self) -> str:
        return self.measure.replace("_", " ")

    @property
    def groups(self) -> tuple[str, ...]:
        return (self.group,)

    def value(self, record: Record, evaluators: Evaluators) -> float | None:
        found = record[self.measure]["value"]
        if found is None:
            return None
        return log2(found) if self.octaves else float(found)


@dataclass(frozen=True)
class Words:
    """Cosine of a take and a word by the bundled CLAP, less the mean cosine with other words."""

    word: str
    others: tuple[str, ...]
    sense: int = 1
    family: Family = "bundled"
    unit: str = "cosine"
    groups: tuple[str, ...] = ("clap",)

    @property
    def name(self) -> str:
        against = self.others[0] if len(self.others) == 1 else f"{len(self.others)} others"
        return f"CLAP {self.word} against {against}"

    def value(self, record: Record, evaluators: Evaluators) -> float | None:
        if record["embedding"] is None:
            return None
        own, *others = (self._cosine(record, one, evaluators) for one in (self.word, *self.others))
        return own - float(np.mean(others))

    def _cosine(self, record: Record, word: str, evaluators: Evaluators) -> float:
        found = evaluators.texts.cosine(record, word)
        assert found is not None
        return found


class _OfTags:
    """A reading of the tags of musicnn."""

    family: ClassVar[Family] = "musicnn"
    unit: ClassVar[str] = "logit"
    groups: ClassVar[tuple[str, ...]] = ("tags",)


@dataclass(frozen=True)
class Tags(_OfTags):
    """Mean logit of tags."""

    tags: tuple[str, ...]
    sense: int = 1

    @property
    def name(self) -> str:
        return f"tag {', '.join(self.tags)}"

    def value(self, record: Record, evaluators: Evaluators) -> float | None:
        found = record["tags"]
        if found is None:
            return None
        return float(np.mean([logit(found[tag]) for tag in self.tags]))


@dataclass(frozen=True)
class Classified(_OfTags):
    """Logit of a label by a classifier on the tags.

    classifier  its name
    """

    classifier: str
    label: str
    sense: int = 1

    @property
    def name(self) -> str:
        return f"tags as {self.label}"

    def value(self, record: Record, evaluators: Evaluators) -> float | None:
        found = evaluators.classifiers[self.classifier].probability(record, self.label)
        return None if found is None else logit(found)


def logit(probability: float) -> float:
    """Logarithm of the odds of a probability, which is kept LEAST away from 0 and 1."""
    p = min(max(probability, LEAST), 1 - LEAST)
    return log(p / (1 - p))


def words_of(readings: Sequence[Reading]) -> tuple[str, ...]:
    """Words that CLAP compares takes with."""
    found = (one for one in readings if isinstance(one, Words))
    return tuple(dict.fromkeys(word for one in found for word in (one.word, *one.others)))


Reader = Callable[[Record], float | None]


def reader(reading: Reading, evaluators: Evaluators) -> Reader:
    """The reading as a function of a record, which rises with the attribute."""

    def read(record: Record) -> float | None:
        found = reading.value(record, evaluators)
        return None if found is None else reading.sense * found

    return read
