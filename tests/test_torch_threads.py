"""Threads: replays use those of the take, and live music leaves a core to everything else."""

import json
import os
import sys
import threading

import pytest
import torch

from tonearm import load, threads
from tonearm.generation.provenance import read_sidecar
from tonearm.replaying import replay
from tonearm.threads import BACKGROUND, live_threads, torch_threads, yield_to_music

needs_two_cores = pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two cores")


@pytest.fixture(scope="module")
def pocket():
    return load("pocket", device="cpu", dtype="float32")


@needs_two_cores
@pytest.mark.parametrize("made_with, replayed_with", [(1, 2), (2, 1)])
def test_a_take_replays_with_its_own_number_of_threads(pocket, tmp_path, made_with, replayed_with):
    """The last bits of pocket's audio differ between one thread and two."""
    with torch_threads(made_with):
        path = pocket.generate("a rock song", seconds=3, seed=1).save(tmp_path / "take.wav")
    with torch_threads(replayed_with):
        found = replay(path, model=pocket)
        assert torch.get_num_threads() == replayed_with
    assert found.identical
    assert found.take.provenance.stack.threads == made_with
    assert not [line for line in found.differences if line.startswith("threads")]


def test_threads_that_the_machine_has_not_are_a_difference(model_of, tmp_path):
    model, before = model_of("small"), torch.get_num_threads()
    path = model.generate("folk", seconds=0.4, seed=1).save(tmp_path / "take.wav")
    sidecar = path.with_suffix(".json")
    content = json.loads(sidecar.read_text())
    content["stack"]["threads"] = 2**31 - 1
    sidecar.write_text(json.dumps(content))
    found = replay(sidecar, model=model)
    assert any(line.startswith("threads: 2147483647 then") for line in found.differences)
    assert torch.get_num_threads() == before
    assert read_sidecar(sidecar).stack.threads == 2**31 - 1


@pytest.mark.parametrize(
    "cores, torch_uses, expected", [(1, 1, 1), (2, 2, 1), (8, 8, 7), (8, 4, 4)]
)
def test_live_music_leaves_a_core(monkeypatch, cores, torch_uses, expected):
    monkeypatch.setattr(threads.os, "cpu_count", lambda: cores)
    monkeypatch.setattr(threads.torch, "get_num_threads", lambda: torch_uses)
    assert live_threads() == expected


@pytest.mark.skipif(sys.platform != "linux", reason="niceness is that of a process elsewhere")
def test_threads_that_yield_have_a_lower_priority_than_the_others():
    found, own = [], os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    def work():
        yield_to_music()
        found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [BACKGROUND]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == own
