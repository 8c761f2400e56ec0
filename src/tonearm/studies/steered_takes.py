"""Takes of prompts under several steerings, generated, measured and stored as they complete."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tonearm.audio import Clip
from tonearm.generation.request import TakeRequest
from tonearm.model import Model
from tonearm.steering import Steering, SteeringVector
from tonearm.studies.effects_measures import MeasureRequest
from tonearm.studies.take_records import PlannedTake, Progress, Record, complete_records


@dataclass(frozen=True)
class Setting:
    """One steering of a study.

    name        key in the records
    steering    of every take
    texts       in place of the study's prompts, such as those with a word in them; the CLAP score
                is that of the study's prompts
    first_seed  in place of the study's
    count       of the prompts, from the first on; None for all
    """

    name: str
    steering: Steering
    texts: tuple[str, ...] | None = None
    first_seed: int | None = None
    count: int | None = None


@dataclass(frozen=True)
class Prompts:
    """The prompts of a study; prompt i has the seed `first_seed` + i under every setting.

    `tagged` is whether the takes are measured by musicnn too.
    """

    texts: tuple[str, ...]
    first_seed: int
    seconds: float
    tagged: bool = True

    def request(self, index: int, clip: Clip) -> MeasureRequest:
        """Request to measure a take of a prompt; the control text is that of another prompt."""
        return MeasureRequest(clip, self.texts[index], self.texts[index - 1], self.tagged)


def run_settings(
    model: Model,
    settings: Sequence[Setting],
    prompts: Prompts,
    vectors: Mapping[str, SteeringVector],
    store: Path | None,
    protocol: str,
    *,
    batch_size: int = 48,
    workers: int = 0,
    progress: Progress | None = None,
    keep: Path | None = None,
) -> dict[str, list[Record]]:
    """Generate and measure the takes that the store lacks.

    Args:
        model: to generate with.
        settings: with different names.
        prompts: of every setting.
        vectors: by the names in the steerings.
        store: file of records; None keeps them in memory alone.
        protocol: identifies everything that the names of the settings do not.
        batch_size: takes per batch; settings share batches.
        workers: processes that measure; 0 for this one.
        progress: called with takes done and takes in all.
        keep: folder of the takes' audio; a take in it is not generated again.

    Returns:
        Records of each setting, in the order of the prompts.

    Raises:
        TonearmError: the store holds records of another protocol.
    """
    by_name = {setting.name: setting for setting in settings}
    planned = {
        setting.name: [
            PlannedTake(setting.name, index, _first_seed(setting, prompts) + index)
            for index in range(len(prompts.texts))[: setting.count]
        ]
        for setting in settings
    }

    def make(batch: Sequence[PlannedTake]) -> list[MeasureRequest]:
        clips = _clips(
            [(by_name[take.setting], take) for take in batch], model, prompts, vectors, keep
        )
        return [prompts.request(take.prompt, clip) for take, clip in zip(batch, clips, strict=True)]

    records = complete_records(
        [take for takes in planned.values() for take in takes],
        make,
        store,
        protocol,
        batch_size=batch_size,
        workers=workers,
        progress=progress,
    )
    return {name: [records[take.key] for take in takes] for name, takes in planned.items()}


def kept_file(folder: Path, setting: str, prompt: int) -> Path:
    """File of a kept take."""
    return folder / setting / f"{prompt}.wav"


def _first_seed(setting: Setting, prompts: Prompts) -> int:
    return prompts.first_seed if setting.first_seed is None else setting.first_seed


def _clips(
    batch: Sequence[tuple[Setting, PlannedTake]],
    model: Model,
    prompts: Prompts,
    vectors: Mapping[str, SteeringVector],
    keep: Path | None,
) -> list[Clip]:
    """Generate one batch of takes, or read those that are kept."""
    files = [keep and kept_file(keep, setting.name, take.prompt) for setting, take in batch]
    clips = {i: Clip.read(file) for i, file in enumerate(files) if file and file.exists()}
    missing = [i for i in range(len(batch)) if i not in clips]
    requests = [
        TakeRequest(
            (setting.texts or prompts.texts)[take.prompt],
            take.seed,
            setting.steering,
            seconds=prompts.seconds,
        )
        for setting, take in (batch[i] for i in missing)
    ]
    if requests:
        takes = model.generate_batch(requests, vectors=vectors, batch_size=len(requests))
        for i, generated in zip(missing, takes, strict=True):
            clips[i] = generated.clip
            if file := files[i]:
                file.parent.mkdir(parents=True, exist_ok=True)
                generated.clip.write(file)
    return [clips[i] for i in range(len(batch))]
