"""Time stretch and shelving filter: tempo, pitch, gains and refusals."""

import numpy as np
import pytest

from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.measures import measure_spectral_centroid
from tonearm.studies.baselines import MAX_SHELF_DB, shelf_for_centroid, shelved, time_stretched

SAMPLE_RATE = 32_000


def tone(hz: float, seconds: float = 2.0) -> Clip:
    times = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return Clip(0.3 * np.sin(2 * np.pi * hz * times), SAMPLE_RATE)


def level_db(clip: Clip) -> float:
    middle = clip.mono[SAMPLE_RATE // 2 : -SAMPLE_RATE // 2]
    return float(10 * np.log10(np.mean(middle**2)))


@pytest.mark.parametrize("gain", [-12.0, 12.0])
def test_a_shelf_changes_high_tones_by_its_gain_and_low_ones_not_at_all(gain):
    high, low = tone(12_000), tone(80)
    assert level_db(shelved(high, gain)) - level_db(high) == pytest.approx(gain, abs=0.2)
    assert level_db(shelved(low, gain)) - level_db(low) == pytest.approx(0, abs=0.1)


def test_a_shelf_of_0_db_changes_nothing():
    assert np.allclose(shelved(tone(3000), 0).samples, tone(3000).samples, atol=1e-6)


@pytest.mark.parametrize("factor", [0.5, 1.4])
def test_the_shelf_for_a_centroid_reaches_it(factor):
    noise = Clip(np.random.default_rng(0).normal(size=64_000) * 0.1, SAMPLE_RATE)
    spectrum = np.fft.rfft(noise.samples) / np.arange(1, 32_002) ** 0.5
    pink = Clip(np.fft.irfft(spectrum) * 10, SAMPLE_RATE)
    plain = measure_spectral_centroid(pink).number
    found = shelved(pink, shelf_for_centroid(pink, factor * plain))
    assert measure_spectral_centroid(found).number / plain == pytest.approx(factor, rel=0.01)


@pytest.mark.parametrize("rate", [0.75, 1.5])
def test_a_time_stretch_changes_the_length_and_keeps_the_pitch(rate):
    stretched = time_stretched(tone(440), rate)
    assert stretched.seconds == pytest.approx(2 / rate, rel=0.01)
    spectrum = np.abs(np.fft.rfft(stretched.mono))
    assert np.argmax(spectrum) / stretched.seconds == pytest.approx(440, abs=3)


def test_what_is_not_possible_is_refused():
    with pytest.raises(TonearmError, match="time stretch"):
        time_stretched(tone(440), 5)
    with pytest.raises(TonearmError, match="shelf"):
        shelved(tone(440), MAX_SHELF_DB + 1)
    with pytest.raises(TonearmError, match="without a spectral centroid"):
        shelf_for_centroid(Clip(np.zeros(SAMPLE_RATE), SAMPLE_RATE), 1000)
