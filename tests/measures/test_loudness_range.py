"""Loudness range and crest factor of planted levels."""

import numpy as np
import pytest

from tests.measures.sounds import noise, silence, tone
from tonearm.audio import Clip
from tonearm.measures import measure_crest_factor, measure_loudness_range
from tonearm.measures.loudness_range import short_term_loudness

SAMPLE_RATE = 48_000


def stereo_tones(levels_dbfs: tuple[float, ...], seconds: float = 20.0) -> Clip:
    """1 kHz in both channels, at each of the peak levels in turn."""
    parts = [tone(1000, seconds, 10 ** (level / 20), SAMPLE_RATE).samples for level in levels_dbfs]
    return Clip(np.concatenate(parts, axis=1).repeat(2, 0), SAMPLE_RATE)


@pytest.mark.parametrize(
    ("levels", "range_lu"),
    [((-20, -30), 10), ((-20, -15), 5), ((-40, -20), 20), ((-50, -35, -20, -35, -50), 15)],
)
def test_the_range_meets_the_minimum_requirements_of_ebu_tech_3342(
    levels: tuple[float, ...], range_lu: float
) -> None:
    # Table 1, cases 1 to 4, with its tolerance.
    assert measure_loudness_range(stereo_tones(levels)).value == pytest.approx(range_lu, abs=1)


def test_a_steady_tone_of_ten_seconds_has_no_range_and_a_clip_71_windows() -> None:
    steady = tone(1000, 10)
    assert measure_loudness_range(steady).value == pytest.approx(0, abs=0.01)
    assert short_term_loudness(steady).shape == (71,)


def test_the_crest_factor_of_a_sine_is_3_db_and_of_a_square_wave_0() -> None:
    assert measure_crest_factor(tone(440)).value == pytest.approx(20 * np.log10(2**0.5), abs=0.01)
    assert measure_crest_factor(Clip(np.resize([0.5, -0.5], 1000), 16_000)).value == pytest.approx(
        0, abs=1e-6
    )


def test_gain_changes_neither() -> None:
    clip = stereo_tones((-20, -30), 5)
    louder = Clip(clip.samples * 3, SAMPLE_RATE)
    for measure in (measure_crest_factor, measure_loudness_range):
        assert measure(louder).value == pytest.approx(measure(clip).value, abs=1e-3)


@pytest.mark.parametrize("clip", [silence(7), silence(0), Clip(np.full(200_000, np.nan), 16_000)])
def test_silence_and_nan_have_neither(clip: Clip) -> None:
    assert measure_crest_factor(clip).value is None
    assert measure_loudness_range(clip).value is None


def test_a_clip_without_two_windows_has_a_crest_factor_and_no_range() -> None:
    assert measure_loudness_range(noise(5.9)).value is None
    assert measure_crest_factor(noise(5.9)).value > 0
    assert measure_loudness_range(noise(6)).value is not None
