"""Audio of a store: one rounding, kept bit for bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tonearm import TakeRequest
from tonearm.audio import Clip
from tonearm.hashing import hash_clip
from tonearm.studies import remote
from tonearm.studies.remote import ModelSource, Order, make_takes
from tonearm.studies.store import Store
from tonearm.studies.stored_audio import StoredAudio

RATE = 16_000
SAMPLES = arrays(
    np.float32,
    st.tuples(st.integers(1, 2), st.integers(1, 40)),
    elements=st.floats(-8, 8, width=32) | st.sampled_from([-1.0, 1.0, -8.0, 8.0]),
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with Store(tmp_path_factory.mktemp("store")) as store:
        yield store


@settings(deadline=None, max_examples=60)
@given(samples=SAMPLES)
def test_a_clip_is_read_as_it_was_measured(store, samples):
    audio = StoredAudio.of(Clip(samples, RATE))
    assert np.abs(audio.clip.samples - samples).max() <= 1.01 * audio.scale / 2**15
    key = hash_clip(audio.clip)
    store.add_take(key, {}, audio, None)
    assert hash_clip(store.clip(key)) == key


@settings(deadline=None)
@given(samples=SAMPLES)
def test_within_full_scale_rounding_changes_no_rounded_clip(samples):
    once = StoredAudio.of(Clip(samples / 8, RATE))
    again = StoredAudio.of(once.clip)
    assert np.array_equal(once.pcm, again.pcm) and once.scale == again.scale == 1


def test_beyond_full_scale_a_second_rounding_is_another_clip():
    """The reason for one rounding: a cluster's worker stores what it has measured."""
    samples = np.linspace(-3, 3, 1000)
    once = StoredAudio.of(Clip(samples[1:], RATE))
    assert hash_clip(StoredAudio.of(once.clip).clip) != hash_clip(once.clip)


def test_a_worker_of_a_cluster_returns_the_audio_that_it_measured(melody, folder_of, monkeypatch):
    measured = []
    monkeypatch.setattr(remote, "measure_jobs", lambda jobs: measured.extend(jobs) or [])
    source = ModelSource(str(folder_of("melody")), "cpu", None, melody.shape.fingerprint)
    orders = [
        Order(prompt, TakeRequest(prompt, 1, seconds=0.4), (({}, ("signal",)),))
        for prompt in ("a folk tune", "calm")
    ]
    made = make_takes(source, orders, {}, None)
    assert [hash_clip(one.audio.clip) for one in made] == [hash_clip(one.clip) for one in measured]
