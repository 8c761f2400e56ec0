"""Spectrogram images of planted tones, and the ticks of their axes."""

import io

import numpy as np
import pytest
from matplotlib.image import imread

from tonearm.audio import Clip
from tonearm.report.spectrogram import HEIGHT, WIDTH, Scale, spectrogram_png

SAMPLE_RATE = 16_000


def tone(
    hz: float, seconds: float = 2.0, sample_rate: int = SAMPLE_RATE, gain: float = 0.5
) -> Clip:
    times = np.arange(int(seconds * sample_rate)) / sample_rate
    return Clip(gain * np.sin(2 * np.pi * hz * times), sample_rate)


def silence(seconds: float = 2.0) -> Clip:
    return Clip(np.zeros(int(seconds * SAMPLE_RATE)), SAMPLE_RATE)


def brightness(clip: Clip, scale: Scale) -> np.ndarray:
    """Mean of the colour channels, which increases with level: float [rows upwards, columns]."""
    return imread(io.BytesIO(spectrogram_png(clip, scale)))[::-1, :, :3].mean(-1)


@pytest.mark.parametrize("kilohertz", ["0.5", "1", "2", "4"])
def test_a_tone_is_at_its_tick_on_the_frequency_axis(kilohertz: str) -> None:
    clip = tone(1000 * float(kilohertz))
    scale = Scale.shared([clip])
    mark = next(tick for tick in scale.frequency_ticks() if tick.label == kilohertz)
    loudest_row = brightness(clip, scale).mean(1).argmax()
    assert (loudest_row + 0.5) / HEIGHT == pytest.approx(mark.place, abs=1.5 / HEIGHT)


def test_a_sound_starts_at_its_tick_on_the_time_axis() -> None:
    late = np.zeros(4 * SAMPLE_RATE, np.float32)
    late[SAMPLE_RATE:] = tone(1000, seconds=3).mono
    clip = Clip(late, SAMPLE_RATE)
    scale = Scale.shared([clip])
    mark = next(tick for tick in scale.time_ticks() if tick.label == "1")
    sounding = brightness(clip, scale).max(0) > 0.6
    assert sounding.argmax() / sounding.size == pytest.approx(mark.place, abs=0.01)


@pytest.mark.parametrize("seconds", [0.5, 2.0, 10.24, 31.7])
def test_the_image_has_nearly_the_same_width_for_any_length(seconds: float) -> None:
    clip = silence(seconds)
    height, width = brightness(clip, Scale.shared([clip])).shape
    assert height == HEIGHT
    assert width == pytest.approx(WIDTH, rel=0.1)


def test_takes_share_one_scale() -> None:
    long, quiet, wide = (
        tone(500, seconds=3),
        tone(500, gain=0.005),
        tone(500, sample_rate=2 * SAMPLE_RATE),
    )
    scale = Scale.shared([quiet, long, wide])
    assert (scale.seconds, scale.sample_rate, scale.highest_hz) == (3.0, 32_000, 16_000)
    assert brightness(quiet, scale).max() < brightness(long, scale).max() - 0.2
    assert brightness(long, scale).argmax(0)[100] == brightness(wide, scale).argmax(0)[100]


def test_a_shorter_take_ends_dark() -> None:
    short, long = tone(1000, seconds=1), tone(1000, seconds=2)
    picture = brightness(short, Scale.shared([short, long]))
    half = picture.shape[1] // 2
    assert picture[:, half + 30 :].max() == picture.min()
    assert picture[:, : half - 30].max(0).min() > 0.6


def test_silence_is_dark() -> None:
    assert brightness(silence(), Scale.shared([silence()])).max() < 0.01


def test_a_stereo_take_is_drawn() -> None:
    mono = tone(1000)
    stereo = Clip(np.concatenate([mono.samples, mono.samples]), SAMPLE_RATE)
    scale = Scale.shared([mono])
    assert spectrogram_png(stereo, scale) == spectrogram_png(mono, scale)


@pytest.mark.parametrize("seconds", [0.05, 0.4, 1.0, 9.9, 10.0, 10.24, 11.0, 30.0, 61.0, 300.0])
def test_time_ticks_are_few_even_and_inside(seconds: float) -> None:
    ticks = Scale(seconds, SAMPLE_RATE, 0.0).time_ticks()
    places = np.array([tick.place for tick in ticks])
    assert 5 <= len(ticks) <= 11
    assert places[0] == 0 and places[-1] <= 1 + 1e-9
    assert np.allclose(np.diff(places), places[1])
    assert [float(tick.label) for tick in ticks] == pytest.approx(places * seconds)


def test_ten_seconds_have_a_tick_each() -> None:
    assert [tick.label for tick in Scale(10.0, SAMPLE_RATE, 0.0).time_ticks()] == [
        str(second) for second in range(11)
    ]


def test_frequency_ticks_end_at_the_top() -> None:
    ticks = Scale(1.0, 32_000, 0.0).frequency_ticks()
    assert [tick.label for tick in ticks] == ["0", "0.5", "1", "2", "4", "8", "16"]
    assert (ticks[0].place, ticks[-1].place) == (0.0, 1.0)
