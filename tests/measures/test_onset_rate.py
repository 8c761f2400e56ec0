"""Onset rate of click tracks."""

import numpy as np
import pytest

from tests.measures.sounds import clicks, noise, silence, tone
from tonearm.audio import Clip
from tonearm.measures.onset_rate import START_SECONDS, measure_onset_rate
from tonearm.measures.onset_rate_superflux import measure_onset_rate_superflux
from tonearm.onset_envelope import FIRST_FRAME, onset_envelope


@pytest.mark.parametrize("bpm", [60, 120, 300])
def test_the_onset_rate_of_clicks_is_their_rate(bpm: float) -> None:
    assert measure_onset_rate(clicks(bpm)).value == pytest.approx(
        bpm / 60, abs=0.11
    )  # one click of 10 s more or less


@pytest.mark.parametrize("start", [0.0, 0.013, 0.05, 0.2])
def test_the_start_of_the_file_is_no_onset(start: float) -> None:
    """Excerpts of steady noise with four loud clicks: the rise from the padding is none."""
    bed = noise(5, amplitude=0.02)
    at = np.arange(1, 5) * bed.sample_rate
    samples = bed.samples.copy()
    burst = clicks(60, 1, first_seconds=0.0).samples[0, :480]
    for first in at:
        samples[0, first : first + 480] += burst
    excerpt = Clip(samples[:, round(start * bed.sample_rate) :], bed.sample_rate)
    rate = measure_onset_rate(excerpt).value
    assert rate == pytest.approx(4 / (excerpt.seconds - START_SECONDS))


def test_the_envelope_has_no_rise_from_the_padding() -> None:
    samples = noise(5).samples.copy()
    samples[0, 40_000:] *= 4
    envelope = onset_envelope(Clip(samples, 16_000))
    assert not envelope[:FIRST_FRAME].any()
    # The only event is the step of 12 dB at 2.5 s.
    assert abs(envelope.argmax() * 0.008 - 2.5) < 0.1 and envelope.max() < 3


@pytest.mark.parametrize(
    "clip", [noise(5), tone(440, 5), tone(3000, 5)], ids=["noise", "low", "high"]
)
def test_a_steady_sound_has_no_onset(clip: Clip) -> None:
    assert measure_onset_rate(clip).value == 0
    assert not onset_envelope(clip).any()


def test_neither_gain_nor_channels_nor_sample_rate_change_it() -> None:
    clip = clicks(120)
    rate = measure_onset_rate(clip).value
    assert measure_onset_rate(Clip(clip.samples / 64, clip.sample_rate)).value == rate
    assert measure_onset_rate(Clip(clip.samples.repeat(2, 0), clip.sample_rate)).value == rate
    assert measure_onset_rate(clip.resampled(32_000)).value == pytest.approx(rate, abs=0.11)


@pytest.mark.parametrize("clip", [silence(), silence(0), silence(0.1), noise(0.1), noise(0.2)])
def test_silent_and_short_clips_have_none(clip: Clip) -> None:
    assert measure_onset_rate(clip).value is None


@pytest.mark.parametrize("bpm", [60, 120, 300])
def test_superflux_counts_clicks(bpm: float) -> None:
    assert measure_onset_rate_superflux(clicks(bpm)).value == pytest.approx(bpm / 60, abs=0.11)


@pytest.mark.parametrize("clip", [noise(5), tone(440, 5), tone(3000, 5)])
def test_superflux_finds_no_onset_in_a_steady_sound(clip: Clip) -> None:
    assert measure_onset_rate_superflux(clip).value == 0


def test_superflux_does_not_count_vibrato() -> None:
    """A tone of 880 Hz, with a vibrato of 50 cents at 6 Hz, that is struck once per second."""
    time = np.arange(10 * 16_000) / 16_000
    cents = 50 * np.sin(2 * np.pi * 6 * time)
    phase = 2 * np.pi * np.cumsum(880 * 2 ** (cents / 1200)) / 16_000
    clip = Clip(0.3 * np.sin(phase) * 10 ** (-np.mod(time - 0.5, 1.0)), 16_000)
    assert measure_onset_rate_superflux(clip).value == pytest.approx(1, abs=0.11)


@pytest.mark.parametrize("clip", [silence(), silence(0), silence(0.1), noise(0.1), noise(0.2)])
def test_silent_and_short_clips_have_no_superflux_rate(clip: Clip) -> None:
    assert measure_onset_rate_superflux(clip).value is None
