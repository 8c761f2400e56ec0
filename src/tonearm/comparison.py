"""Comparison of one prompt and seed, unsteered and steered: takes, measurements, and a page to
listen to.
"""

import os
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tonearm import boundary
from tonearm.datasets.audio_files import LISTEN
from tonearm.errors import TonearmError
from tonearm.evaluators.base import BeatTracker
from tonearm.files.atomic_folder import atomic_folder
from tonearm.generation.request import TakeRequest
from tonearm.generation.take import Take
from tonearm.measures.describe import Description, describe
from tonearm.model import Model
from tonearm.musicgen.sampling import Sampling
from tonearm.progress import Progress
from tonearm.report.comparison_page import PAGE, Exhibit, write_compare_page
from tonearm.report.levels import level_matched
from tonearm.steering.shorthand import SteeringLike, as_steering, vectors_of
from tonearm.steering.spec import Combine, Steering

_OF_COMPARISON = re.compile(rf"({LISTEN}/)?(plain|steered-\d+)\.[^/]+")


@dataclass(frozen=True)
class ComparedTake:
    """One take of a comparison.

    name         "plain", "steered-1", "steered-2", ...
    take         with its audio
    description  its measurements
    """

    name: str
    take: Take
    description: Description


@dataclass(frozen=True)
class Comparison:
    """Takes of one prompt and seed; the first is unsteered.

    `details` (model, steering, seed, licence, ...) are listed on the page, in their order.
    """

    prompt: str
    takes: tuple[ComparedTake, ...]
    details: Mapping[str, str] = field(default_factory=dict)

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write the takes with their sidecars, copies at one loudness, and the page.

        The folder is whole or not there; files of an earlier comparison in it are replaced, and
        other files are kept.

        Returns:
            The path of the page.

        Raises:
            TonearmError: the folder cannot be written.
        """
        folder = boundary.path(folder, "folder")
        with atomic_folder(folder, PAGE, _is_of_comparison) as temporary:
            for one in self.takes:
                one.take.save(temporary / f"{one.name}.wav", measured=one.description.to_dict())
            self._save_page(temporary)
        return Path(folder) / PAGE

    def _save_page(self, folder: Path) -> None:
        """Write the copies at one loudness and the page, beside takes that are saved already."""
        clips = [one.take.clip for one in self.takes]
        for one, clip in zip(self.takes, level_matched(clips), strict=True):
            clip.write(folder / LISTEN / f"{one.name}.wav")
        exhibits = [
            Exhibit(
                one.take.provenance.statement,
                one.take.clip,
                one.description,
                f"{one.name}.wav",
                f"{one.name}.json",
            )
            for one in self.takes
        ]
        details = {name: text for name, text in self.details.items() if text}
        write_compare_page(folder, self.prompt, exhibits, details)


def compare(
    model: Model,
    prompt: str,
    steerings: Sequence[SteeringLike],
    *,
    combine: Combine | None = None,
    seconds: float = 10.0,
    seed: int | None = None,
    sampling: Sampling | None = None,
    tracker: BeatTracker | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Generate one prompt and seed unsteered and with each steering, and measure the takes.

    Args:
        model: to generate with.
        prompt: the music in words.
        steerings: one or more, each in any form that `Model.generate` takes.
        combine: rule for several steers, as for `Model.generate`.
        seconds: of music.
        seed: of all takes; default: a random one.
        sampling: default: the checkpoint's own.
        tracker: beat tracker of the measured tempi; `tonearm.defaults.TRACKER` where none is given.
        progress: called with frames done and frames in all.

    Raises:
        TonearmError: no steering, or any mistake in the arguments, before decoding starts.
    """
    takes = tuple(
        compare_takes(
            model,
            prompt,
            steerings,
            combine=combine,
            seconds=seconds,
            seed=seed,
            sampling=sampling,
            tracker=tracker,
            progress=progress,
        )
    )
    shape, first = model.shape, takes[0].take.provenance
    details = {
        "model": f"{shape.public_name}, {model.checkpoint.device}, {model.checkpoint.precision}",
        "seed": str(first.seed),
        "sampling": f"guidance {first.sampling.guidance:g}, temperature {first.sampling.temperature:g}",
        "licence": shape.licence,
    }
    return Comparison(prompt, takes, details)


def compare_takes(
    model: Model,
    prompt: str,
    steerings: Sequence[SteeringLike],
    *,
    combine: Combine | None = None,
    seconds: float = 10.0,
    seed: int | None = None,
    sampling: Sampling | None = None,
    tracker: BeatTracker | None = None,
    progress: Progress | None = None,
) -> Iterator[ComparedTake]:
    """Like `compare`, but yield the takes one by one; arguments are checked at the call."""
    boundary.instance(model, "model", Model, "a Model, as tonearm.load returns it")
    steerings = boundary.sequence(
        steerings, "steerings", lambda steering, _: steering, "a list of steerings"
    )
    resolved = [as_steering(steering, combine) for steering in steerings]
    steered = [(steering, vectors) for steering, vectors in resolved if steering]
    if not steered:
        raise TonearmError(
            "there is nothing to compare; give at least one steering, such as tempo=+1"
        )
    vectors = vectors_of(steered)
    shared_seed = secrets.randbelow(2**31) if seed is None else seed
    requests = [
        TakeRequest(prompt, shared_seed, steering, sampling, seconds=seconds)
        for steering in (Steering(), *(steering for steering, _ in steered))
    ]
    takes = model.generate_batch(
        requests, vectors=vectors, batch_size=len(requests), progress=progress
    )
    names = ["plain", *(f"steered-{number}" for number in range(1, len(requests)))]
    return (
        ComparedTake(name, take, describe(take.clip, tracker))
        for name, take in zip(names, takes, strict=True)
    )


def _is_of_comparison(name: str) -> bool:
    return _OF_COMPARISON.fullmatch(name) is not None
