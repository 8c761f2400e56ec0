"""Making of takes, here or on a cluster; each is stored as soon as it is decoded."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tonearm.audio import Clip
from tonearm.model import Model
from tonearm.studies.plan import Stack, Trial, Vectors, describe_take, take_key
from tonearm.studies.processing import process
from tonearm.studies.remote import Cluster, Order
from tonearm.studies.stage_trials import AudioJobs
from tonearm.studies.store import Store, Values
from tonearm.studies.stored_audio import StoredAudio

# Requests of one call of generate_batch, which encodes their audio prompts first; whole batches of
# 48, 64 or 128 rows.
REQUESTS_PER_CALL = 1920


@dataclass(frozen=True)
class TakeMaker:
    """Makes takes of trials.

    model       to generate with
    store       of the takes
    vectors     by the names in the requests
    batch_size  rows per batch; None for as many as the memory holds
    """

    model: Model
    store: Store
    vectors: Vectors
    batch_size: int | None

    @cached_property
    def stack(self) -> Stack:
        """What computes the takes."""
        return Stack.of(self.model)

    def key(self, trial: Trial) -> str:
        """The key of a trial's take."""
        return take_key(trial, self.stack, self.vectors)

    def make(self, trials: Mapping[str, Trial]) -> Iterator[tuple[str, Clip]]:
        """Make takes; yield each key, and the audio as it is stored.

        Takes that are processed are made first where the store lacks them.

        Args:
            trials: by the keys of their takes.

        Raises:
            TonearmError: a mistake in a request, or the store cannot be written.
        """
        generated = {key: one for key, one in trials.items() if one.processing is None}
        sources = {key: self.key(trials[key].unprocessed) for key in trials if key not in generated}
        absent = {
            source: trials[key].unprocessed
            for key, source in sources.items()
            if not self.store.has_take(source)
        }
        for key, clip in self._generate({**absent, **generated}):
            if key in generated:
                yield key, clip
        for key, source in sources.items():
            trial = trials[key]
            assert trial.processing is not None
            clip = process(self.store.clip(source), trial.processing)
            yield key, self._add(key, trial, StoredAudio.of(clip), None)

    def make_on(
        self, cluster: Cluster, trials: Mapping[str, Trial], jobs: Mapping[str, AudioJobs]
    ) -> Iterator[Sequence[Values]]:
        """Make and measure takes on a cluster; yield the values of each take.

        Args:
            cluster: of workers that load the same checkpoint.
            trials: by the keys of their takes, without processing.
            jobs: their measurements, likewise.

        Raises:
            TonearmError: a mistake in a request, or the cluster or the store fails.
        """
        orders = [Order(key, trials[key].request, jobs[key]) for key in _longest_first(trials)]
        for made in cluster.make(orders, self.vectors, self.batch_size):
            self._add(made.key, trials[made.key], made.audio, made.codes)
            yield made.values

    def _generate(self, trials: Mapping[str, Trial]) -> Iterator[tuple[str, Clip]]:
        keys = _longest_first(trials)
        for first in range(0, len(keys), REQUESTS_PER_CALL):
            chunk = keys[first : first + REQUESTS_PER_CALL]
            takes = self.model.generate_batch(
                [trials[key].request for key in chunk],
                vectors=dict(self.vectors),
                order="completion",
                batch_size=self.batch_size,
            )
            for index, take in takes:
                key = chunk[index]
                yield key, self._add(key, trials[key], StoredAudio.of(take.clip), take.codes)

    def _add(self, key: str, trial: Trial, audio: StoredAudio, codes: np.ndarray | None) -> Clip:
        """Store a take, and return its audio as it is stored."""
        description = describe_take(trial, self.stack, self.vectors)
        self.store.add_take(key, description, audio, codes)
        return audio.clip


def _longest_first(trials: Mapping[str, Trial]) -> list[str]:
    """Keys by the length of their takes, so that takes of one length are decoded together."""
    return sorted(trials, key=lambda key: -trials[key].request.seconds)
