"""Onset rate of click tracks."""

import pytest

from tests.measures.sounds import clicks, noise, silence
from tonearm.audio import Clip
from tonearm.measures.onset_rate import measure_onset_rate


@pytest.mark.parametrize("bpm", [60, 120, 300])
def test_the_onset_rate_of_clicks_is_their_rate(bpm: float) -> None:
    assert measure_onset_rate(clicks(bpm)).value == pytest.approx(
        bpm / 60, abs=0.11
    )  # one click of 10 s more or less


def test_neither_gain_nor_channels_nor_sample_rate_change_it() -> None:
    clip = clicks(120)
    rate = measure_onset_rate(clip).value
    assert measure_onset_rate(Clip(clip.samples / 64, clip.sample_rate)).value == rate
    assert measure_onset_rate(Clip(clip.samples.repeat(2, 0), clip.sample_rate)).value == rate
    assert measure_onset_rate(clip.resampled(32_000)).value == pytest.approx(rate, abs=0.11)


@pytest.mark.parametrize("clip", [silence(), silence(0), silence(0.1), noise(0.1)])
def test_silent_and_short_clips_have_none(clip: Clip) -> None:
    assert measure_onset_rate(clip).value is None
