import numpy as np
import pytest

from tests.measures.sounds import noise, silence, tone
from tonearm.audio import Clip
from tonearm.measures.loudness import measure_loudness, measure_peak


def test_a_full_scale_997_hz_tone_is_at_minus_3_lufs() -> None:
    # The calibration point of ITU-R BS.1770: 0 dBFS, 997 Hz, one front channel -> -3.01 LKFS.
    assert measure_loudness(tone(997, 3, amplitude=1.0, sample_rate=48_000)).value == pytest.approx(-3.01, abs=0.05)


def test_halving_takes_six_decibels_off_both() -> None:
    clip = noise(2)
    half = Clip(clip.samples / 2, clip.sample_rate)
    for measure in (measure_loudness, measure_peak):
        assert measure(clip).value - measure(half).value == pytest.approx(6.02, abs=0.01)


def test_peak_is_the_largest_sample_of_any_channel_and_of_either_sign() -> None:
    assert measure_peak(Clip(np.array([[0.1, 0.2], [-0.5, 0.0]]), 16_000)).value == pytest.approx(-6.02, abs=0.01)


@pytest.mark.parametrize("clip", [silence(), silence(0)])
def test_silence_has_neither(clip: Clip) -> None:
    assert measure_loudness(clip).value is None
    assert measure_peak(clip).value is None


def test_under_one_gating_block_there_is_a_peak_and_no_loudness() -> None:
    assert measure_loudness(tone(440, 0.1)).value is None
    assert measure_peak(tone(440, 0.1)).value == pytest.approx(-6.02, abs=0.1)
