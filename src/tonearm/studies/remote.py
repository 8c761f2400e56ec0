"""Takes made and measured by the workers of a Ray cluster.

A task makes some takes and measures them; a worker keeps its model between tasks. Results are
returned as tasks finish. A task whose worker is lost is run again, by default on another one.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from tonearm.errors import TonearmError
from tonearm.generation.request import TakeRequest
from tonearm.model import Model, load
from tonearm.steering import SteeringVector
from tonearm.studies.measuring import Job, measure_jobs
from tonearm.studies.stage_trials import AudioJobs
from tonearm.studies.store import Values
from tonearm.studies.stored_audio import StoredAudio

RETRIES = 5  # of a task whose worker is lost
# Takes of a task; the rows of a batch are decided by the worker's memory.
GPU_TAKES, CPU_TAKES = 128, 48
LOCAL = "local"


@dataclass(frozen=True)
class ModelSource:
    """How a worker loads the model.

    name, device, dtype  as for `tonearm.load`
    fingerprint          that the loaded checkpoint must have
    """

    name: str
    device: str | None
    dtype: str | None
    fingerprint: str


@dataclass(frozen=True)
class Order:
    """One take of a task.

    key        of the take
    request    of it
    jobs       texts and groups of its measurements
    """

    key: str
    request: TakeRequest
    jobs: AudioJobs


@dataclass(frozen=True)
class Made:
    """A take that a task made, and its measurements."""

    key: str
    audio: StoredAudio
    codes: np.ndarray
    values: tuple[Values, ...]


@dataclass(frozen=True)
class Cluster:
    """Workers of a Ray cluster.

    address  of the cluster, such as ray://host:10001, auto, or local for one on this machine
    source   of the model
    cpus     of each task
    gpus     likewise
    """

    address: str
    source: ModelSource
    cpus: float = 1
    gpus: float = 0

    def make(
        self,
        orders: Sequence[Order],
        vectors: Mapping[str, SteeringVector],
        batch_size: int | None,
    ) -> Iterator[Made]:
        """Make takes, and yield those of each task as it is finished.

        Args:
            orders: in the order in which they are divided into tasks.
            vectors: by the names in the requests.
            batch_size: rows per batch and takes per task; None for as many rows as a worker's memory
                holds, and GPU_TAKES or CPU_TAKES per task.

        Raises:
            TonearmError: Ray is not installed, no such cluster, a worker's checkpoint is another
                one, or a task's workers were lost too often.
        """
        ray = self._connected()
        waiting: list[Any] = []
        try:
            remote = ray.remote(num_cpus=self.cpus, num_gpus=self.gpus, max_retries=RETRIES)
            task = remote(make_takes)
            shared = ray.put(dict(vectors))
            waiting = [
                task.remote(self.source, one, shared, batch_size)
                for one in self.tasks(orders, batch_size)
            ]
            while waiting:
                (done,), waiting = ray.wait(waiting, num_returns=1)
                yield from _result(ray, done)
        finally:
            for reference in waiting:
                ray.cancel(reference, force=True)

    def tasks(self, orders: Sequence[Order], batch_size: int | None) -> list[Sequence[Order]]:
        """Divide takes into tasks; see `make`."""
        size = batch_size or (GPU_TAKES if self.gpus else CPU_TAKES)
        return [orders[first : first + size] for first in range(0, len(orders), size)]

    def _connected(self) -> Any:
        try:
            ray = import_module("ray")
        except ImportError:
            raise TonearmError(
                "--ray needs the package ray; install tonearm[ray], or leave --ray out"
            ) from None
        if not ray.is_initialized():
            where = {} if self.address == LOCAL else {"address": self.address}
            try:
                ray.init(**where, log_to_driver=False, logging_level=logging.ERROR)
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise TonearmError(
                    f"no Ray cluster at {self.address}: {str(error).splitlines()[0]}; start one, or "
                    f"give --ray {LOCAL}"
                ) from None
        return ray


def _result(ray: Any, reference: Any) -> list[Made]:
    try:
        found: list[Made] = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, TonearmError):
            raise TonearmError(str(error.cause)) from None
        raise
    except ray.exceptions.WorkerCrashedError:
        raise TonearmError(
            f"a task lost its worker {RETRIES + 1} times; look at the workers' memory, and continue "
            "with --resume"
        ) from None
    return found


@cache
def _model(source: ModelSource) -> Model:
    """The model of this worker, loaded once."""
    model = load(source.name, device=source.device, dtype=source.dtype)
    if model.shape.fingerprint != source.fingerprint:
        raise TonearmError(
            f"{source.name} on a worker has the fingerprint {model.shape.fingerprint}, and here "
            f"{source.fingerprint}; give every machine the same checkpoint"
        )
    return model


def make_takes(
    source: ModelSource,
    orders: Sequence[Order],
    vectors: Mapping[str, SteeringVector],
    batch_size: int | None,
) -> list[Made]:
    """Make and measure the takes of one task, on a worker."""
    model = _model(source)
    requests = [order.request for order in orders]
    made = model.generate_batch(
        requests, vectors=vectors, order="completion", batch_size=batch_size
    )
    takes = [take for _, take in sorted(made, key=lambda one: one[0])]
    audio = [StoredAudio.of(take.clip) for take in takes]
    jobs = [
        Job(order.key, clip, texts, groups)
        for order, clip in zip(orders, (one.clip for one in audio), strict=True)
        for texts, groups in order.jobs
    ]
    values: dict[str, list[Values]] = {order.key: [] for order in orders}
    for one in measure_jobs(jobs):
        values[one.key].append(one)
    return [
        Made(order.key, stored, take.codes, tuple(values[order.key]))
        for order, stored, take in zip(orders, audio, takes, strict=True)
    ]
