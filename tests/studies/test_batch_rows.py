"""Rows per batch of a study's takes: as given, or as many as the memory holds."""

from dataclasses import replace

import pytest

from tonearm import TakeRequest
from tonearm.model import Model
from tonearm.studies import making, remote
from tonearm.studies.making import REQUESTS_PER_CALL, TakeMaker
from tonearm.studies.plan import Stack, Trial
from tonearm.studies.remote import Cluster, ModelSource, Order, make_takes
from tonearm.studies.store import Store


@pytest.fixture
def calls(monkeypatch):
    """Number of requests and batch size of each call of generate_batch."""
    seen = []
    original = Model.generate_batch

    def generate_batch(self, requests, **options):
        seen.append((len(requests), options["batch_size"]))
        return original(self, requests, **options)

    monkeypatch.setattr(Model, "generate_batch", generate_batch)
    return seen


def trials(count):
    requests = [TakeRequest("a folk tune", seed, seconds=0.2) for seed in range(count)]
    return {str(one.seed): Trial(one, {}, ("signal",)) for one in requests}


@pytest.mark.parametrize(
    ("device", "given", "rows"),
    [("cpu", None, None), ("cpu", 3, 3), ("cuda", None, None), ("cuda", 3, 3)],
)
def test_the_memory_decides_where_no_size_is_given(
    melody, monkeypatch, tmp_path, calls, device, given, rows
):
    stack = replace(Stack.of(melody), device=device)
    monkeypatch.setattr(making.Stack, "of", lambda model: stack)
    with Store(tmp_path) as store:
        assert len(list(TakeMaker(melody, store, {}, given).make(trials(4)))) == 4
    assert calls == [(4, rows)]


def test_the_requests_of_a_call_fill_its_batches(melody, monkeypatch, tmp_path, calls):
    assert all(REQUESTS_PER_CALL % rows == 0 for rows in (48, 64, 128))
    monkeypatch.setattr(making, "REQUESTS_PER_CALL", 6)
    with Store(tmp_path) as store:
        assert len(list(TakeMaker(melody, store, {}, 3).make(trials(8)))) == 8
    assert calls == [(6, 3), (2, 3)]


def test_a_worker_of_a_cluster_decides_by_its_own_device(melody, folder_of, monkeypatch, calls):
    monkeypatch.setattr(remote, "measure_jobs", lambda jobs: [])
    source = ModelSource(str(folder_of("melody")), "cpu", None, melody.shape.fingerprint)
    orders = [Order(key, trial.request, ()) for key, trial in trials(4).items()]
    made = make_takes(source, orders, {}, None)
    assert [one.key for one in made] == ["0", "1", "2", "3"]
    make_takes(source, orders, {}, 2)
    assert calls == [(4, None), (4, 2)]


@pytest.mark.parametrize(
    ("gpus", "given", "sizes"),
    [(0, None, [48, 48, 48, 48, 8]), (1, None, [128, 72]), (1, 90, [90, 90, 20])],
)
def test_a_task_of_a_cluster_is_one_batch_on_a_cpu_and_several_on_a_gpu(gpus, given, sizes):
    source = ModelSource("pocket", None, None, "")
    orders = [Order(key, trial.request, ()) for key, trial in trials(200).items()]
    tasks = Cluster("local", source, gpus=gpus).tasks(orders, given)
    assert [len(task) for task in tasks] == sizes
    assert [one.key for task in tasks for one in task] == [one.key for one in orders]
