"""Threads that share one loaded model."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from tests.steering.vectors import vector_of
from tonearm import load
from tonearm.model import Model
from tonearm.musicgen.checkpoint import load_checkpoint

THREADS = 4
PROMPTS = ("a fast folk tune", "slow jazz piece with flute", "dark piano", "a calm loud tune")


def in_threads(work, count=THREADS):
    barrier = Barrier(count)

    def started(index):
        barrier.wait()
        return work(index)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(started, range(count)))


@pytest.mark.parametrize("variant", ["small", "melody"])
@pytest.mark.parametrize("engine", ["decoder", "reference"])
def test_threads_on_a_new_model_give_the_takes_of_one_thread(folder_of, variant, engine):
    model = load(str(folder_of(variant)), device="cpu", engine=engine)
    alone = load(str(folder_of(variant)), device="cpu", engine=engine)

    def hashes(model, index):
        provenance = model.generate(PROMPTS[index], seconds=0.4, seed=index).provenance
        return provenance.codes_sha256, provenance.audio_sha256

    together = in_threads(lambda index: hashes(model, index))
    assert together == [hashes(alone, index) for index in range(THREADS)]


def test_hooks_of_the_reference_engine_do_not_reach_takes_of_other_threads(folder_of):
    """Four threads on one set of weights, each with its own engine and steering."""

    checkpoint = load_checkpoint(str(folder_of("melody")), "cpu")
    models = [Model(checkpoint, name) for name in ("reference", "decoder", "reference", "decoder")]
    vector = vector_of(models[0], size=6.0)
    steers = [{vector: "raw:2"}, None, None, {vector: "raw:-1"}]

    def hashes(index):
        take = models[index].generate(PROMPTS[index], seconds=0.6, seed=index, steer=steers[index])
        return take.provenance.codes_sha256, take.provenance.audio_sha256

    expected = [hashes(index) for index in range(THREADS)]
    for _ in range(3):
        assert in_threads(hashes) == expected


def test_the_weights_are_packed_when_the_model_is_loaded(folder_of):
    """Packing at the first use would be a race between threads."""
    model = load(str(folder_of("small")), device="cpu")
    assert all(
        parameter.is_meta for parameter in model.checkpoint.model.decoder.lm_heads.parameters()
    )
