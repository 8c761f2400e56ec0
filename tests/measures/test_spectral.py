"""Spectral centroid, roll-off and high-frequency ratio of planted spectra."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.measures.sounds import SAMPLE_RATE, noise, silence, tone
from tonearm.audio import Clip
from tonearm.measures import (
    measure_high_frequency_ratio,
    measure_spectral_centroid,
    measure_spectral_rolloff,
)


def joined(*clips: Clip) -> Clip:
    return Clip(np.concatenate([clip.samples for clip in clips], axis=1), clips[0].sample_rate)


@pytest.mark.parametrize("hz", [500, 1000, 3000])
def test_the_centroid_of_a_tone_is_its_frequency(hz: float) -> None:
    assert measure_spectral_centroid(tone(hz)).value == pytest.approx(hz, rel=0.02)


def test_the_centroid_of_white_noise_is_half_the_nyquist_frequency() -> None:
    assert measure_spectral_centroid(noise(5)).value == pytest.approx(SAMPLE_RATE / 4, rel=0.01)


def test_two_equal_tones_meet_in_the_middle_and_share_the_energy() -> None:
    both = Clip(tone(1000).samples + tone(3000).samples, SAMPLE_RATE)
    assert measure_spectral_centroid(both).value == pytest.approx(2000, rel=0.02)
    assert measure_high_frequency_ratio(both).value == pytest.approx(0.5, abs=0.01)
    assert measure_high_frequency_ratio(tone(1000)).value == pytest.approx(0, abs=1e-3)
    assert measure_high_frequency_ratio(tone(3000)).value == pytest.approx(1, abs=1e-3)


def test_silent_frames_have_no_weight() -> None:
    sound = noise(1)
    assert measure_spectral_centroid(joined(sound, silence(3))).value == pytest.approx(
        measure_spectral_centroid(sound).value, rel=0.01
    )


def test_a_louder_frame_has_more_weight() -> None:
    loud_dark = joined(tone(500, amplitude=0.6), tone(3000, amplitude=0.2))
    assert measure_spectral_centroid(loud_dark).value == pytest.approx(
        (500 * 3 + 3000) / 4, rel=0.03
    )


@given(gain=st.floats(0.05, 20))
def test_gain_changes_none(gain: float) -> None:
    clip = noise(0.2)
    louder = Clip(clip.samples * gain, SAMPLE_RATE)
    assert measure_spectral_centroid(louder).value == pytest.approx(
        measure_spectral_centroid(clip).value, rel=1e-4
    )
    assert measure_high_frequency_ratio(louder).value == pytest.approx(
        measure_high_frequency_ratio(clip).value, rel=1e-4
    )
    assert measure_spectral_rolloff(louder).value == pytest.approx(
        measure_spectral_rolloff(clip).value, rel=0.01
    )  # in steps of whole bins


def test_the_rolloff_of_white_noise_is_at_85_per_cent_of_the_band_and_of_a_tone_at_the_tone() -> (
    None
):
    assert measure_spectral_rolloff(noise(5)).value == pytest.approx(
        0.85 * SAMPLE_RATE / 2, rel=0.01
    )
    assert measure_spectral_rolloff(tone(1000)).value == pytest.approx(1000, abs=1 / 0.064)


def test_resampling_up_hardly_changes_either() -> None:
    clip = Clip(
        tone(440, 2).samples + 0.3 * tone(2500, 2).samples + 0.02 * noise(2).samples, SAMPLE_RATE
    )
    twice = clip.resampled(2 * SAMPLE_RATE)
    assert measure_spectral_centroid(twice).value == pytest.approx(
        measure_spectral_centroid(clip).value, rel=0.02
    )
    assert measure_spectral_rolloff(twice).value == pytest.approx(
        measure_spectral_rolloff(clip).value, rel=0.02
    )
    assert measure_high_frequency_ratio(twice).value == pytest.approx(
        measure_high_frequency_ratio(clip).value, rel=0.02
    )


CLICK_AT_THE_EDGE = Clip(np.eye(1, SAMPLE_RATE), SAMPLE_RATE)  # where the first frame's window is 0


@pytest.mark.parametrize(
    "clip", [silence(), silence(0), noise(0.05), tone(500, amplitude=0.0005), CLICK_AT_THE_EDGE]
)
def test_silent_and_short_clips_have_none(clip: Clip) -> None:
    assert measure_spectral_centroid(clip).value is None
    assert measure_spectral_rolloff(clip).value is None
    assert measure_high_frequency_ratio(clip).value is None
