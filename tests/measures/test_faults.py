"""Technical faults of clips with planted ones."""

import numpy as np
import pytest

from tests.measures.sounds import SAMPLE_RATE, silence, tone
from tonearm.audio import Clip
from tonearm.measures import faults, measure_clipping, measure_dc_offset, measure_silence


def test_an_intact_clip_has_none() -> None:
    assert faults(tone(440)) == []


def test_clipped_samples_are_counted() -> None:
    samples = tone(440, 1).samples[0].copy()
    samples[:1920] = np.where(np.arange(1920) % 2, 1.0, -1.0)
    clip = Clip(samples, SAMPLE_RATE)
    assert measure_clipping(clip).value == pytest.approx(0.12)
    assert faults(clip) == ["12 % of samples clipped"]


def test_full_scale_16_bit_samples_count_as_clipped_and_one_step_below_do_not() -> None:
    assert (
        measure_clipping(Clip(np.array([32767, -32768, 32766, -32766]) / 32768, SAMPLE_RATE)).value
        == 0.5
    )


def test_one_sample_at_full_scale_is_not_a_fault() -> None:
    samples = tone(440).samples[0].copy()
    samples[100] = 1.0
    assert faults(Clip(samples, SAMPLE_RATE)) == []


def test_silent_time_is_a_share_of_the_time() -> None:
    clip = Clip(np.concatenate([tone(440, 1).samples[0], np.zeros(3 * SAMPLE_RATE)]), SAMPLE_RATE)
    assert measure_silence(clip).value == pytest.approx(0.75)
    assert faults(clip) == ["silent 75 % of the time"]


def test_the_last_short_frame_counts_by_its_length() -> None:
    clip = Clip(
        np.concatenate([tone(440, 0.05).samples[0], np.zeros(round(0.01 * SAMPLE_RATE))]),
        SAMPLE_RATE,
    )
    assert measure_silence(clip).value == pytest.approx(1 / 6)


@pytest.mark.parametrize(("dbfs", "silent"), [(-59.0, False), (-61.0, True)])
def test_silence_begins_at_minus_60_dbfs(dbfs: float, silent: bool) -> None:
    square = Clip(np.resize([1.0, -1.0], SAMPLE_RATE) * 10 ** (dbfs / 20), SAMPLE_RATE)
    assert (faults(square) == ["silent"]) is silent


def test_an_offset_is_found_in_the_channel_that_has_it() -> None:
    clean = tone(440).samples[0]  # 440 whole periods, so its mean is 0
    clip = Clip(np.stack([clean, clean + 0.05]), SAMPLE_RATE)
    assert measure_dc_offset(clip).value == pytest.approx(0.05)
    assert faults(clip) == ["DC offset 0.05 of full scale"]


def test_several_faults_are_all_listed() -> None:
    clip = Clip(np.concatenate([np.ones(SAMPLE_RATE), np.zeros(3 * SAMPLE_RATE)]), SAMPLE_RATE)
    assert faults(clip) == [
        "25 % of samples clipped",
        "silent 75 % of the time",
        "DC offset 0.25 of full scale",
    ]


def test_empty_silent_and_nan_clips_have_one_fault() -> None:
    broken = tone(440).samples[0].copy()
    broken[:3] = np.nan, np.inf, -np.inf
    assert faults(Clip(np.zeros(0), SAMPLE_RATE)) == ["no samples"]
    assert faults(silence()) == ["silent"]
    assert faults(Clip(broken, SAMPLE_RATE)) == ["3 samples are NaN or infinite"]
