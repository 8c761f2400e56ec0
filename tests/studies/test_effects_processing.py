"""Signal processing baselines: the shelf's gain, its match to a centroid, and the stretch."""

import logging

import numpy as np
import pytest

from tests.measures.sounds import noise, silence, tone
from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.measures import measure_spectral_centroid
from tonearm.processing import high_shelf
from tonearm.studies.effects_processing import MAX_GAIN, gain_for_centroid, time_stretch

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
    assert "no shelving filter within 40 dB" in caplog.text
    with pytest.raises(TonearmError, match="the takes are silent"):
        gain_for_centroid([silence(0.5)], 1000.0)


def test_a_clip_without_frequencies_above_the_corner_is_refused():
    with pytest.raises(TonearmError, match="nothing above the corner of 1000 Hz"):
        high_shelf(tone(100, sample_rate=2000), 6.0)


def notes_per_second(clip: Clip) -> float:
    """Strongest frequency of the envelope between 1 and 5 Hz."""
    frames = clip.samples[0, : clip.samples.shape[1] // 320 * 320].reshape(-1, 320)
    envelope = np.sqrt((frames**2).mean(1))
    spectrum = np.abs(np.fft.rfft(envelope * np.hanning(len(envelope)), 2**14))
    frequencies = np.fft.rfftfreq(2**14, 320 / clip.sample_rate)
    within = (frequencies > 1) & (frequencies < 5)
    return float(frequencies[within][spectrum[within].argmax()])


@pytest.mark.parametrize(("rate", "seconds"), [(1.5, 4.0), (0.75, 6.0)])
def test_a_stretched_clip_plays_faster_at_its_pitch_and_is_no_longer_than_before(rate, seconds):
    times = np.arange(6 * RATE) / RATE
    clip = Clip(0.3 * np.sin(2 * np.pi * 440 * times) * np.exp(-8 * (times % 0.5)), RATE)
    stretched = time_stretch(clip, rate)
    assert notes_per_second(clip) == pytest.approx(2.0, rel=0.03)
    assert notes_per_second(stretched) == pytest.approx(2.0 * rate, rel=0.03)
    assert stretched.seconds == pytest.approx(seconds, abs=0.01)
    spectrum = np.abs(np.fft.rfft(stretched.samples[0]))
    assert spectrum.argmax() / stretched.seconds == pytest.approx(440, rel=0.01)
