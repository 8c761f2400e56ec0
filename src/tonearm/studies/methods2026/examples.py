"""Examples of an attribute, from which every method learns: prompts, or rendered pieces."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from tonearm.audio import Clip
from tonearm.backend import Site
from tonearm.datasets.prompts import PromptPair
from tonearm.datasets.rendering.drum_pairs import drum_pairs
from tonearm.hashing import hash_texts
from tonearm.methods.learn import learn
from tonearm.methods.learn_from_audio import learn_from_audio
from tonearm.model import Model
from tonearm.steering import SteeringVector

ACTIVATIONS = "activations"
FRAME_MEAN = "mean"  # pooling of audio


class Examples(Protocol):
    """Examples with an attribute and without it."""

    @property
    def identity(self) -> str:
        """Hash of the examples, by which fitted vectors are kept."""
        ...

    def learn(
        self, model: Model, name: str, method: str, site: Site, pooling: str | None
    ) -> SteeringVector:
        """Learn the direction towards the attribute.

        Args:
            model: whose activations are captured.
            name: of the vector.
            method: of the registry.
            site: that is read, and steered.
            pooling: None for that of the examples.

        Raises:
            TonearmError: the method finds no direction, or the examples cannot be made.
        """
        ...


@dataclass(frozen=True)
class PromptExamples:
    """A pair of prompt sets."""

    pair: PromptPair

    @property
    def identity(self) -> str:
        return hash_texts(self.pair.positive, self.pair.negative)

    def learn(
        self, model: Model, name: str, method: str, site: Site, pooling: str | None
    ) -> SteeringVector:
        pair = self.pair
        return learn(
            model,
            pair.positive,
            pair.negative,
            name,
            method=method,
            site=site,
            pooling=pooling,
            positive_label=pair.positive_label,
            negative_label=pair.negative_label,
        )


@dataclass(frozen=True)
class DrumExamples:
    """Rendered pieces, without drums and with them: the attribute is the absence of drums.

    count    of pieces
    seconds  of each that are read
    folder   of the run, which keeps the activations
    """

    count: int
    seconds: float
    folder: Path

    @property
    def identity(self) -> str:
        return hash_texts([f"drum pairs {self.count}, {self.seconds:g} s"], [])

    @cached_property
    def sides(self) -> tuple[Sequence[Clip], Sequence[Clip]]:
        """Pieces without drums, and with them."""
        with_drums, without = drum_pairs(self.count)
        return without, with_drums

    def learn(
        self, model: Model, name: str, method: str, site: Site, pooling: str | None
    ) -> SteeringVector:
        without, with_drums = self.sides
        kind = FRAME_MEAN if pooling is None else pooling
        return learn_from_audio(
            model,
            without,
            with_drums,
            name,
            method=method,
            site=site,
            pooling=kind,
            segment_seconds=self.seconds,
            positive_label="no drums",
            negative_label="drums",
            store=self.folder / ACTIVATIONS / f"drums, {site}, {kind}",
        )
