"""Running a study: takes that a store lacks are made in batches, and measured beside decoding.

Takes of one length are decoded together; each is stored as soon as it is decoded. Worker processes
measure while the next batch is decoded. What is done is never done again, so that a run that was
stopped at any moment continues with the rest.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tonearm.audio import Clip
from tonearm.model import Model
from tonearm.progress import Progress
from tonearm.studies.making import TakeMaker
from tonearm.studies.measuring import Job, Measuring, measuring
from tonearm.studies.model_measuring import measure_by_model
from tonearm.studies.plan import Found, Study
from tonearm.studies.records import Record
from tonearm.studies.remote import Cluster
from tonearm.studies.stage_progress import StageProgress
from tonearm.studies.stage_trials import StageTrials
from tonearm.studies.store import Store, Values

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """How a run computes; nothing of it changes the results.

    workers     processes that measure; 0 for this one
    batch_size  rows per batch; None for as many as the memory holds
    limit       takes that are made at most, in this run; None for all
    cluster     makes and measures takes elsewhere; None for this machine. Processed audio and groups
                of the model are made here
    """

    workers: int = 1
    batch_size: int | None = None
    limit: int | None = None
    cluster: Cluster | None = None


def run(
    study: Study,
    model: Model,
    store: Store,
    settings: Settings = Settings(),
    progress: Progress | None = None,
) -> list[Record]:
    """Complete a study stage by stage.

    Args:
        study: to be completed.
        model: makes the takes.
        store: of takes and measurements.
        settings: how.
        progress: called with takes done and takes in all of the stage.

    Returns:
        The records of all stages that are complete; with a limit, those that were reached.

    Raises:
        TonearmError: a mistake in a request, or the store cannot be written.
    """
    maker = TakeMaker(model, store, study.vectors, settings.batch_size)
    records: list[Record] = []
    left = settings.limit
    with measuring(settings.workers) as measure:
        for index, (name, trials_of) in enumerate(study.stages.items()):
            trials = trials_of(Found(records, lambda record: store.clip(record["take"])))
            stage = StageTrials.of(trials, maker.key)
            fingerprints = {**_known(store, study.name), **stage.fingerprints}
            store.set_study(study.name, study.details, fingerprints)
            store.set_stage(study.name, name, stage.stored(), index)
            stage_run = _StageRun(name, stage, maker, measure, settings.cluster, progress)
            made = stage_run.complete(left)
            left = None if left is None else left - made
            found = store.records(study.name, name)
            records += found
            if len(found) < len(trials):
                log.info("%s: %d of %d trials; the limit is reached", name, len(found), len(trials))
                break
    return records


def _known(store: Store, study: str) -> dict[str, str]:
    """Fingerprints that earlier stages have recorded."""
    return store.fingerprints(study) if study in store.studies() else {}


@dataclass(frozen=True)
class _StageRun:
    """Completion of one stage."""

    name: str
    stage: StageTrials
    maker: TakeMaker
    measure: Measuring
    cluster: Cluster | None
    report: Progress | None

    def complete(self, limit: int | None) -> int:
        """Make and measure what the store lacks; return the number of takes that were made.

        Args:
            limit: of that number; None for all.
        """
        store, trials = self.maker.store, self.stage.by_key
        jobs = self.stage.audio_jobs(store)
        is_stored = {key: store.has_take(key) for key in jobs}
        stored = [key for key in jobs if is_stored[key]]
        absent = [key for key in jobs if not is_stored[key]]
        made = {key: trials[key] for key in absent[:limit]}
        beyond = set(absent[len(made) :])
        progress = StageProgress(self.name, len(stored) + len(made), self.report)

        def collect(measured: Iterable[Sequence[Values]]) -> None:
            for values in measured:
                store.add_values(values)
                progress.measured(len({one.key for one in values}))

        def submit(key: str, clip: Clip) -> None:
            progress.made()
            if not jobs[key]:  # only its audio was removed
                progress.measured(1)
            one = [Job(key, clip, texts, groups) for texts, groups in jobs[key]]
            collect(self.measure.add(one))

        for key in stored:
            submit(key, store.clip(key))
        here = made
        if self.cluster is not None:
            here = {key: one for key, one in made.items() if one.processing is not None}
            elsewhere = {key: one for key, one in made.items() if one.processing is None}
            for values in self.maker.make_on(self.cluster, elsewhere, jobs):
                progress.made()
                collect([values])
        for key, clip in self.maker.make(here):
            submit(key, clip)
        collect(self.measure.finish())
        for group, lacking in self.stage.model_jobs(store):
            reached = {key: one for key, one in lacking.items() if key not in beyond}
            for found in measure_by_model(group, reached, self.maker):
                store.add_values(found)
        return len(made)
