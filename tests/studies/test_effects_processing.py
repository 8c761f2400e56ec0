"""Signal processing baselines: the shelf's gain, its match to a centroid, and the stretch."""

import logging

import numpy as np
import pytest

from tests.measures.sounds import clicks, noise, silence, tone
from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.measures import measure_onset_rate, measure_spectral_centroid
from tonearm.studies.effects_processing import (
    MAX_GAIN,
    gain_for_centroid,
    high_shelf,
    time_stretch,
)

RATE, LOW = 32_000, 50


def level(clip: Clip, hz: int) -> float:
    """Level of one frequency of a clip of 1 s in dB."""
    spectrum = np.abs(np.fft.rfft(clip.samples[0] * np.hanning(clip.samples.shape[1])))
    return 20 * float(np.log10(spectrum[hz]))


@pytest.mark.parametrize("gain", [12.0, -12.0])
@pytest.mark.parametrize(("hz", "share"), [(100, 0.0), (1000, 0.5), (12_000, 1.0)])
def test_the_shelf_has_its_gain_above_the_corner_half_at_it_and_none_below(gain, hz, share):
    clip = Clip(
        tone(LOW, sample_rate=RATE).samples * 0.5 + tone(hz, sample_rate=RATE).samples * 0.5, RATE
    )
    filtered = high_shelf(clip, gain)
    change = (level(filtered, hz) - level(filtered, LOW)) - (level(clip, hz) - level(clip, LOW))
    assert change == pytest.approx(share * gain, abs=0.2)
    assert np.abs(filtered.samples).max() <= np.abs(clip.samples).max() + 1e-6


@pytest.mark.parametrize("factor", [1.3, 0.7])
def test_the_gain_gives_the_takes_the_mean_centroid(factor):
    clips = [
        Clip(tone(200, 0.5).samples + noise(0.5, 0.02, seed).samples, 16_000) for seed in range(2)
    ]

    def mean(gain: float) -> float:
        return np.mean([measure_spectral_centroid(high_shelf(one, gain)).number for one in clips])

    target = factor * mean(0.0)
    gain = gain_for_centroid([*clips, silence(0.5)], target)
    assert np.sign(gain) == np.sign(factor - 1)
    assert mean(gain) == pytest.approx(target, rel=0.01)


def test_a_centroid_out_of_reach_has_the_largest_gain_and_a_warning(caplog):
    with caplog.at_level(logging.WARNING):
        assert gain_for_centroid([noise(0.5)], 7990.0) == MAX_GAIN
    assert "no shelf within 40 dB" in caplog.text
    with pytest.raises(TonearmError, match="the takes are silent"):
        gain_for_centroid([silence(0.5)], 1000.0)


def test_a_stretched_clip_has_more_onsets_per_second_and_a_slower_one_the_same_length():
    clip = clicks(120, 6.0)
    fast, slow = time_stretch(clip, 1.5), time_stretch(clip, 0.75)
    plain = measure_onset_rate(clip).number
    assert fast.seconds == pytest.approx(4.0, abs=0.01) and slow.seconds == clip.seconds
    assert measure_onset_rate(fast).number == pytest.approx(1.5 * plain, rel=0.1)
    assert measure_onset_rate(slow).number == pytest.approx(0.75 * plain, rel=0.1)
