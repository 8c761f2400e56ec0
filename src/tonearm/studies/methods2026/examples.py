"""Examples of an attribute, from which every method learns: prompts, or rendered pieces."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from tonearm.activations.clip_sources import clips_of_prompts, clips_of_recordings
from tonearm.activations.clips import Clips
from tonearm.audio import Clip
from tonearm.backend import Site
from tonearm.datasets import prompts
from tonearm.datasets.prompts import PromptPair
from tonearm.datasets.recordings import Recording
from tonearm.datasets.rendering.drum_pairs import drum_pairs
from tonearm.hashing import hash_texts
from tonearm.methods.base import NoDirection
from tonearm.methods.learn import BACKGROUND, learn
from tonearm.methods.learn_from_audio import learn_from_audio
from tonearm.model import Model
from tonearm.steering import SteeringVector

ACTIVATIONS, CLIPS = "activations", "clips"
TAKES_SEED = 50_000  # of takes of a pair's prompts
FRAME_MEAN = "mean"  # pooling of audio


@dataclass(frozen=True)
class Learning:
    """How activations of examples become a direction.

    method      of the registry
    site        that is read, and steered
    pooling     None for that of the examples
    background  whether the other side is a broad background in place of the opposite
    """

    method: str
    site: Site = "residual"
    pooling: str | None = None
    background: bool = False


class Examples(Protocol):
    """Examples with an attribute and without it."""

    @property
    def identity(self) -> str:
        """Hash of the examples, by which fitted vectors are kept."""
        ...

    def learn(self, model: Model, name: str, learning: "Learning") -> SteeringVector:
        """Learn the direction towards the attribute.

        Args:
            model: whose activations are captured.
            name: of the vector.
            learning: method, and activations that it reads.

        Raises:
            NoDirection: the method finds none beyond chance.
            TonearmError: the examples cannot be made or captured.
        """
        ...

    def clips(self, model: Model, count: int) -> tuple[Clips, Clips]:
        """Clips of codes with the attribute and without it.

        Args:
            model: whose codec or takes they are of.
            count: of examples of each side, at most.

        Raises:
            TonearmError: the examples cannot be made.
        """
        ...


@dataclass(frozen=True)
class PromptExamples:
    """A pair of prompt sets.

    seconds  of the takes of `clips`
    folder   of the run, which keeps them
    """

    pair: PromptPair
    seconds: float
    folder: Path

    @property
    def identity(self) -> str:
        return hash_texts(self.pair.positive, self.pair.negative)

    def learn(self, model: Model, name: str, learning: Learning) -> SteeringVector:
        pair, one_sided = self.pair, learning.background
        return learn(
            model,
            pair.positive,
            prompts.neutral() if one_sided else pair.negative,
            name,
            method=learning.method,
            site=learning.site,
            pooling=learning.pooling,
            paired=not one_sided,
            positive_label=pair.positive_label,
            negative_label=BACKGROUND if one_sided else pair.negative_label,
        )

    def clips(self, model: Model, count: int) -> tuple[Clips, Clips]:
        positive, negative = (
            clips_of_prompts(
                model.engine,
                texts[:count],
                self.folder / CLIPS / f"{self.pair.name}, {side}, {len(texts[:count])}",
                seconds=self.seconds,
                seed=TAKES_SEED,
            )
            for side, texts in (("positive", self.pair.positive), ("negative", self.pair.negative))
        )
        return positive, negative


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

    def store(self, name: str) -> Path:
        """Folder of activations of these pieces."""
        return self.folder / ACTIVATIONS / f"drums, {name}, {self.identity}"

    def learn(self, model: Model, name: str, learning: Learning) -> SteeringVector:
        if learning.background:
            raise NoDirection(
                "rendered pieces have no background beside those with drums, with which the method "
                "is DiffMean"
            )
        without, with_drums = self.sides
        site, kind = learning.site, learning.pooling or FRAME_MEAN
        return learn_from_audio(
            model,
            without,
            with_drums,
            name,
            method=learning.method,
            site=site,
            pooling=kind,
            segment_seconds=self.seconds,
            positive_label="no drums",
            negative_label="drums",
            store=self.store(f"{site}, {kind}"),
        )

    def clips(self, model: Model, count: int) -> tuple[Clips, Clips]:
        without, with_drums = (
            clips_of_recordings(
                model.engine,
                [
                    Recording.of_clip(clip, name, f"{name} {i}")
                    for i, clip in enumerate(side[:count])
                ],
                self.folder / CLIPS / f"{name}, {len(side[:count])}",
                seconds=self.seconds,
            )
            for name, side in zip(("without drums", "with drums"), self.sides, strict=True)
        )
        return without, with_drums
