"""Running a study: takes that a store lacks are made in batches, and measured beside decoding.

Takes of one length are decoded together; each is stored as soon as it is decoded. Worker processes
measure while the next batch is decoded. What is done is never done again, so that a run that was
stopped at any moment continues with the rest.

The group `divergence` is measured by the model itself: KL(steered || plain) in nats per frame,
teacher-forced on the codes of the take of the same request without steering, which is made where the
store lacks it.
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tonearm.audio import Clip
from tonearm.measures import Measurement
from tonearm.model import Model
from tonearm.progress import Progress
from tonearm.steering import Steering
from tonearm.studies.measure_groups import DIVERGENCE, Group, MeasureRequest, group
from tonearm.studies.measuring import Job, Measuring, measuring
from tonearm.studies.plan import (
    Found,
    Stack,
    Study,
    Trial,
    Vectors,
    describe_take,
    take_key,
)
from tonearm.studies.processing import process
from tonearm.studies.records import Record
from tonearm.studies.remote import Cluster, Order
from tonearm.studies.store import Store, StoredTrial, Values
from tonearm.studies.stored_audio import StoredAudio

log = logging.getLogger(__name__)

REQUESTS_PER_CALL = 256  # of generate_batch, which prepares them together
FORCED_ROWS = 16  # of one teacher-forced pass
CPU_ROWS = 48  # of a batch; more are no faster on a CPU
REPORT_SECONDS = 10.0  # between two lines of the log


@dataclass(frozen=True)
class Settings:
    """How a run computes; nothing of it changes the results.

    workers     processes that measure; 0 for this one
    batch_size  rows per batch; None for as many as the memory holds, on a CPU at most CPU_ROWS
    limit       takes that are made at most, in this run; None for all
    cluster     makes and measures takes elsewhere; None for this machine. Divergences and processed
                audio are made here
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
    stack = Stack.of(model)
    records: list[Record] = []
    left = settings.limit
    with measuring(settings.workers) as measure:
        for index, (stage, trials_of) in enumerate(study.stages.items()):
            trials = trials_of(Found(records, lambda record: store.clip(record["take"])))
            keys = [take_key(trial, stack, study.vectors) for trial in trials]
            groups = {name: _group(name) for trial in trials for name in trial.groups}
            store.set_study(
                study.name,
                study.details,
                {**_known(store, study.name), **{g.name: g.fingerprint for g in groups.values()}},
            )
            store.set_stage(study.name, stage, _stored(trials, keys, groups), index)
            stage_run = _StageRun(
                store, model, stack, study.vectors, groups, measure, progress, settings
            )
            left = stage_run.complete(stage, trials, keys, left)
            found = store.records(study.name, stage)
            records += found
            if len(found) < len(trials):
                log.info(
                    "%s: %d of %d trials; the limit is reached", stage, len(found), len(trials)
                )
                break
    return records


def _group(name: str) -> Group:
    if name != DIVERGENCE:
        return group(name)

    def refuse(requests: Sequence[MeasureRequest]) -> list[dict[str, Any]]:
        raise AssertionError("a divergence is not measured on audio")

    return Group(DIVERGENCE, "KL(steered || plain) 1", False, refuse)


def _known(store: Store, study: str) -> dict[str, str]:
    """Fingerprints that earlier stages have recorded."""
    return store.fingerprints(study) if study in store.studies() else {}


def _stored(
    trials: Sequence[Trial], keys: Sequence[str], groups: Mapping[str, Group]
) -> list[StoredTrial]:
    return [
        StoredTrial(key, trial.groups, _arguments(trial, groups), trial.facts)
        for trial, key in zip(trials, keys, strict=True)
    ]


def _arguments(trial: Trial, groups: Mapping[str, Group]) -> dict[str, str]:
    """The texts, where a group of the trial uses them."""
    return trial.arguments if any(groups[name].uses_texts for name in trial.groups) else {}


class _StageRun:
    """Completion of one stage."""

    def __init__(
        self,
        store: Store,
        model: Model,
        stack: Stack,
        vectors: Vectors,
        groups: Mapping[str, Group],
        measure: Measuring,
        progress: Progress | None,
        settings: Settings,
    ) -> None:
        self._store, self._model, self._stack, self._vectors = store, model, stack, vectors
        self._groups, self._measure = groups, measure
        self._progress, self._settings = progress, settings

    def complete(
        self, stage: str, trials: Sequence[Trial], keys: Sequence[str], limit: int | None
    ) -> int | None:
        """Make and measure what the store lacks, at most `limit` takes; return what is left of it."""
        by_key: dict[str, list[Trial]] = {}
        for trial, key in zip(trials, keys, strict=True):
            by_key.setdefault(key, []).append(trial)
        open_keys = [key for key, same in by_key.items() if self._missing(key, same)]
        sounding = [key for key in open_keys if any(map(_needs_audio, by_key[key]))]
        made = [key for key in sounding if self._store.has_take(key)]
        absent = [key for key in sounding if key not in set(made)]
        if limit is not None:
            absent, limit = absent[:limit], max(0, limit - len(absent))
        clock = _Clock(stage, len(absent) + len(made), self._progress)
        for key in made:
            self._submit(key, by_key[key], self._store.clip(key), clock)
        generated = {key: by_key[key] for key in absent if by_key[key][0].processing is None}
        if self._settings.cluster is not None:
            self._make_remotely(self._settings.cluster, generated, clock)
        else:
            for key, clip in self._generate({key: same[0] for key, same in generated.items()}):
                self._submit(key, by_key[key], clip, clock)
        for key in absent:
            trial = by_key[key][0]
            if trial.processing is not None:
                source = take_key(trial.unprocessed, self._stack, self._vectors)
                audio = StoredAudio.of(process(self._store.clip(source), trial.processing))
                description = describe_take(trial, self._stack, self._vectors)
                self._store.add_take(key, description, audio, None)
                self._submit(key, by_key[key], audio.clip, clock)
        self._collect(self._measure.finish(), clock)
        reached = set(open_keys) - (set(sounding) - set(made) - set(absent))
        self._diverge(
            {
                key: trial
                for key in open_keys
                if key in reached
                for trial in by_key[key]
                if DIVERGENCE in trial.groups
            }
        )
        return limit

    def _diverge(self, trials: Mapping[str, Trial]) -> None:
        """Measure the divergences that the store lacks."""
        missing = {
            key: trial
            for key, trial in trials.items()
            if DIVERGENCE in (name for name, _ in self._missing(key, [trial]))
        }
        plain = {
            key: replace(trial, request=replace(trial.request, steering=Steering()))
            for key, trial in missing.items()
        }
        keys = {key: take_key(trial, self._stack, self._vectors) for key, trial in plain.items()}
        absent = {
            keys[key]: trial for key, trial in plain.items() if not self._store.has_codes(keys[key])
        }
        for _ in self._generate(absent):
            pass
        by_length: dict[float, list[str]] = {}
        for key, trial in missing.items():
            by_length.setdefault(trial.request.seconds, []).append(key)
        for same in by_length.values():
            for first in range(0, len(same), FORCED_ROWS):
                chunk = same[first : first + FORCED_ROWS]
                found = self._model.divergence(
                    [missing[key].request for key in chunk],
                    [self._store.codes(keys[key]) for key in chunk],
                    vectors=dict(self._vectors),
                )
                fingerprint = self._groups[DIVERGENCE].fingerprint
                self._store.add_values(
                    [
                        Values(key, DIVERGENCE, fingerprint, {}, {DIVERGENCE: _nats(value)})
                        for key, value in zip(chunk, found, strict=True)
                    ]
                )
                log.info("%s: %d divergences", DIVERGENCE, first + len(chunk))

    def _missing(self, key: str, trials: Sequence[Trial]) -> list[tuple[str, dict[str, str]]]:
        """Groups, with their texts, that have not measured a take."""
        wanted = dict.fromkeys(
            (name, tuple(self._texts(name, trial).items()))
            for trial in trials
            for name in trial.groups
        )
        return [
            (name, dict(texts))
            for name, texts in wanted
            if not self._store.has_values(key, name, self._groups[name].fingerprint, dict(texts))
        ]

    def _texts(self, name: str, trial: Trial) -> dict[str, str]:
        return trial.arguments if self._groups[name].uses_texts else {}

    def _make_remotely(
        self, cluster: Cluster, missing: Mapping[str, Sequence[Trial]], clock: "_Clock"
    ) -> None:
        """Make takes on a cluster, and store each batch as it arrives."""
        size = self._settings.batch_size or CPU_ROWS
        keys = sorted(missing, key=lambda key: -missing[key][0].request.seconds)
        orders = [
            Order(key, missing[key][0].request, tuple(self._jobs(key, missing[key])))
            for key in keys
        ]
        batches = [orders[first : first + size] for first in range(0, len(orders), size)]
        for batch in cluster.make(batches, self._vectors):
            for made in batch:
                description = describe_take(missing[made.key][0], self._stack, self._vectors)
                self._store.add_take(made.key, description, made.audio, made.codes)
                self._store.add_values(made.values)
                clock.made()
            clock.measured(len(batch))

    def _generate(self, missing: Mapping[str, Trial]) -> Iterator[tuple[str, Clip]]:
        """Make takes, and store each as soon as it is decoded."""
        size = self._settings.batch_size
        if size is None and self._stack.device == "cpu":
            size = CPU_ROWS
        keys = sorted(missing, key=lambda key: -missing[key].request.seconds)
        for first in range(0, len(keys), REQUESTS_PER_CALL):
            chunk = keys[first : first + REQUESTS_PER_CALL]
            requests = [missing[key].request for key in chunk]
            takes = self._model.generate_batch(
                requests,
                vectors=dict(self._vectors),
                order="completion",
                batch_size=size and min(size, len(chunk)),
            )
            for index, take in takes:
                key = chunk[index]
                description = describe_take(missing[key], self._stack, self._vectors)
                audio = StoredAudio.of(take.clip)
                self._store.add_take(key, description, audio, take.codes)
                yield key, audio.clip

    def _submit(self, key: str, trials: Sequence[Trial], clip: Clip, clock: "_Clock") -> None:
        clock.made()
        jobs = [Job(key, clip, texts, names) for texts, names in self._jobs(key, trials)]
        self._collect(self._measure.add(jobs), clock)

    def _jobs(
        self, key: str, trials: Sequence[Trial]
    ) -> list[tuple[dict[str, str], tuple[str, ...]]]:
        """Texts, and the groups that are to measure a take with them."""
        by_texts: dict[tuple[tuple[str, str], ...], list[str]] = {}
        for name, texts in self._missing(key, trials):
            if name != DIVERGENCE:
                by_texts.setdefault(tuple(texts.items()), []).append(name)
        return [(dict(texts), tuple(names)) for texts, names in by_texts.items()]

    def _collect(self, measured: Iterator[list[Values]], clock: "_Clock") -> None:
        for values in measured:
            self._store.add_values(values)
            clock.measured(len({one.key for one in values}))


def _needs_audio(trial: Trial) -> bool:
    return any(name != DIVERGENCE for name in trial.groups)


def _nats(value: float) -> dict[str, Any]:
    protocol = "KL(steered || plain), teacher-forced on the plain take's codes"
    return Measurement(DIVERGENCE, value, "nats per frame", protocol).to_dict()


class _Clock:
    """Progress of a stage: takes per hour and the time that is left."""

    def __init__(self, stage: str, count: int, progress: Progress | None) -> None:
        self._stage, self._count, self._progress = stage, count, progress
        self._began = self._reported = time.monotonic()
        self._made = self._done = 0
        if progress:
            progress(0, count)

    def made(self) -> None:
        self._made += 1

    def measured(self, takes: int) -> None:
        self._done = min(self._made, self._done + takes)
        if self._progress:
            self._progress(self._done, self._count)
        now = time.monotonic()
        if now - self._reported > REPORT_SECONDS:
            self._reported = now
            rate = self._done / (now - self._began)
            log.info(
                "%s: %d of %d takes, %.0f per hour, %.0f s left",
                self._stage,
                self._done,
                self._count,
                3600 * rate,
                (self._count - self._done) / rate if rate else float("nan"),
            )
