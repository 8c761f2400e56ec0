"""Threads that share one loaded model: first use, engines side by side, hooks and tokenizer."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

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
def test_threads_that_generate_first_on_one_model_get_the_takes_of_one_thread(folder_of, variant, engine):
    model = load(str(folder_of(variant)), device="cpu", engine=engine)
    alone = load(str(folder_of(variant)), device="cpu", engine=engine)

    def make(model, index):
        steer = None
        return model.generate(PROMPTS[index], seconds=0.4, seed=index, steer=steer).provenance

    together = in_threads(lambda index: make(model, index))
    for index, found in enumerate(together):
        expected = make(alone, index)
        assert (found.codes_sha256, found.audio_sha256) == (expected.codes_sha256, expected.audio_sha256)


def test_hooks_of_the_reference_engine_do_not_reach_takes_of_other_threads(folder_of):
    """Four threads on one set of weights: each its own engine and steering; takes are those made one by one."""
    from tests.musicgen.decode_requests import vector_for

    checkpoint = load_checkpoint(str(folder_of("melody")), "cpu")
    models = [Model(checkpoint, name) for name in ("reference", "decoder", "reference", "decoder")]
    vector = vector_for(models[0], size=6.0)
    steers = [{vector: 2.0}, None, None, {vector: -1.0}]

    def make(index):
        take = models[index].generate(PROMPTS[index], seconds=0.6, seed=index, steer=steers[index])
        return take.provenance.codes_sha256, take.provenance.audio_sha256

    expected = [make(index) for index in range(THREADS)]
    for _ in range(3):
        assert in_threads(make) == expected


def test_the_weights_are_packed_when_the_model_is_loaded(folder_of):
    """Nothing is left to be built at first use, where two threads would build it at once."""
    model = load(str(folder_of("small")), device="cpu")
    assert model.engine.decoder is model.engine.decoder
    assert all(parameter.is_meta for parameter in model.checkpoint.model.decoder.lm_heads.parameters())
