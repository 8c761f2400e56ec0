"""Takes of prompts under several steerings, as trials."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tonearm.generation.request import TakeRequest
from tonearm.model import Model
from tonearm.progress import Progress
from tonearm.steering import Steering, SteeringVector
from tonearm.studies.measure_groups import ALL_GROUPS
from tonearm.studies.plan import Processing, Study, Trial
from tonearm.studies.records import Record
from tonearm.studies.run import Settings, run
from tonearm.studies.store import Store


@dataclass(frozen=True)
class Setting:
    """One steering of a study.

    name        in the records
    steering    of every take
    texts       in place of the study's prompts, such as those with a word in them; the CLAP score
                is that of the study's prompts
    first_seed  in place of the study's
    count       of the prompts, from the first on; None for all
    excerpt     start and end in seconds of the part that is measured; None for the whole take
    """

    name: str
    steering: Steering
    texts: tuple[str, ...] | None = None
    first_seed: int | None = None
    count: int | None = None
    excerpt: tuple[float, float] | None = None

    @property
    def processing(self) -> Processing | None:
        """The excerpt as a processing of takes."""
        if self.excerpt is None:
            return None
        start, end = self.excerpt
        return Processing("excerpt", {"start": start, "end": end})


@dataclass(frozen=True)
class Prompts:
    """The prompts of a study; prompt i has the seed `first_seed` + i under every setting.

    `groups` of measures are taken of every take.
    """

    texts: tuple[str, ...]
    first_seed: int
    seconds: float
    groups: tuple[str, ...] = ALL_GROUPS

    def trials(self, setting: Setting) -> list[Trial]:
        """Trials of a setting; the control text of a take is that of another prompt."""
        first = self.first_seed if setting.first_seed is None else setting.first_seed
        return [
            Trial(
                TakeRequest(
                    (setting.texts or self.texts)[index],
                    first + index,
                    setting.steering,
                    seconds=self.seconds,
                ),
                {"setting": setting.name, "prompt": index, "seed": first + index},
                self.groups,
                text=self.texts[index],
                other_text=self.texts[index - 1],
                processing=setting.processing,
            )
            for index in range(len(self.texts))[: setting.count]
        ]


def run_settings(
    model: Model,
    name: str,
    settings: Sequence[Setting],
    prompts: Prompts,
    vectors: Mapping[str, SteeringVector],
    folder: Path | None,
    *,
    workers: int = 0,
    progress: Progress | None = None,
) -> dict[str, list[Record]]:
    """Generate and measure the takes that a store lacks.

    Their audio is not kept, except where an excerpt of it is measured.

    Args:
        model: to generate with.
        name: of the study in the store.
        settings: with different names.
        prompts: of every setting.
        vectors: by the names in the steerings.
        folder: of the store; None for one that is removed.
        workers: processes that measure; 0 for this one.
        progress: called with takes done and takes in all.

    Returns:
        Records of each setting, in the order of the prompts.
    """
    trials = [trial for setting in settings for trial in prompts.trials(setting)]
    study = Study(name, {"takes": lambda found: trials}, vectors)
    with _store(folder, any(setting.excerpt for setting in settings)) as store:
        records = run(study, model, store, Settings(workers=workers), progress)
    by_setting: dict[str, list[Record]] = {setting.name: [] for setting in settings}
    for record in records:
        by_setting[record["setting"]].append(record)
    return by_setting


@contextmanager
def _store(folder: Path | None, keeps_audio: bool) -> Iterator[Store]:
    if folder is not None:
        with Store(folder, keeps_audio) as store:
            yield store
        return
    with (
        TemporaryDirectory(prefix="tonearm-") as temporary,
        Store(Path(temporary), keeps_audio) as store,
    ):
        yield store
