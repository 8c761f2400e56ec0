import numpy as np
import pytest

from tonearm import Clip, TonearmError
from tonearm.processing import Trims, high_shelf, time_stretch

RATE = 16_000


@pytest.fixture
def clip():
    noise = np.random.default_rng(0).normal(0, 0.05, (1, 2 * RATE)).astype(np.float32)
    return Clip(noise, RATE)


def test_no_trim_gives_back_the_clip(clip):
    assert not Trims()
    assert Trims().apply(clip) is clip and Trims().texts() == ()


def test_trims_act_in_order(clip):
    trims = Trims(stretch=1.05, treble=-3.0, gain=2.0)
    expected = high_shelf(time_stretch(clip, 1.05), -3.0).samples * 10 ** (2.0 / 20)
    assert np.allclose(trims.apply(clip).samples, expected, atol=1e-7)
    assert trims.texts() == (
        "time stretch: 1.050 times as fast",
        "shelving filter: -3.0 dB above 1 kHz",
        "gain: +2.0 dB",
    )


def test_a_gain_is_in_decibels(clip):
    louder = Trims(gain=6.0206).apply(clip)
    assert np.allclose(louder.samples, 2 * clip.samples, rtol=1e-4)


@pytest.mark.parametrize("fields", [{"stretch": 3}, {"treble": 50}, {"gain": float("nan")}])
def test_impossible_trims_are_refused(fields):
    with pytest.raises(TonearmError):
        Trims(**fields)
