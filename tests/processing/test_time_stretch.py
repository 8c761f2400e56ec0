import numpy as np
import pytest

from tonearm import Clip, TonearmError
from tonearm.processing.time_stretch import overlapped_grains, time_stretch

RATE = 16_000


def clicks(period=0.5, seconds=6.0):
    """Noise bursts of 10 ms, one each `period` seconds, from 0.25 s on."""
    samples = np.zeros(int(seconds * RATE), np.float32)
    burst = np.random.default_rng(0).normal(0, 0.3, RATE // 100)
    starts = np.arange(0.25, seconds - 0.1, period)
    for start in starts:
        first = int(start * RATE)
        samples[first : first + len(burst)] = burst
    return Clip(samples[None], RATE), starts


def tone(seconds=4.0, hertz=440.0):
    return Clip(0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE)) / RATE)[None], RATE)


def envelope(clip, milliseconds=2):
    frame = RATE * milliseconds // 1000
    usable = clip.mono[: len(clip.mono) // frame * frame].reshape(-1, frame)
    return np.sqrt((usable**2).mean(1))


@pytest.mark.parametrize("rate", [0.93, 1.05])
def test_attacks_move_in_time_and_stay_sharp(rate):
    """Less of a burst's energy is before and after it than a phase vocoder alone leaves."""
    from librosa.effects import time_stretch as phase_vocoder

    clip, starts = clicks()
    stretched = time_stretch(clip, rate)
    plain = Clip(phase_vocoder(clip.samples, rate=rate), RATE)

    def near(one):
        level, close = envelope(one) ** 2, 0.0
        for start in starts / rate:
            first = int((start - 0.004) * 500)
            close += level[max(0, first) : first + 12].sum()
        return close / level.sum()

    assert near(stretched) > 0.9 > near(plain)


@pytest.mark.parametrize("rate", [0.93, 1.05])
def test_pitch_and_length(rate):
    stretched = time_stretch(tone(), rate)
    assert stretched.samples.shape[1] == round(4 * RATE / rate)
    spectrum = np.abs(np.fft.rfft(stretched.mono * np.hanning(len(stretched.mono))))
    peak = np.argmax(spectrum) * RATE / len(stretched.mono)
    assert peak == pytest.approx(440, abs=1)


def test_a_rate_of_1_is_the_clip_itself_and_channels_stay():
    clip = tone()
    assert time_stretch(clip, 1) is clip
    stereo = Clip(np.concatenate([clip.samples, 0 * clip.samples]), RATE)
    stretched = time_stretch(stereo, 1.02)
    assert stretched.samples.shape[0] == 2 and not stretched.samples[1].any()


def test_grains_of_a_constant_add_up_to_it():
    constant = np.ones(4000)
    for rate in (0.9, 1.0, 1.1):
        stretched = overlapped_grains(constant, rate, 128)
        assert len(stretched) == round(4000 / rate)
        assert np.allclose(stretched[128:-256], 1)


@pytest.mark.parametrize("rate", [0, -1, 0.4, 3, float("nan")])
def test_impossible_rates_are_refused(rate):
    with pytest.raises(TonearmError, match=r"not possible; give 0\.5 to 2|finite"):
        time_stretch(tone(), rate)


def test_a_stretch_does_not_clip():
    """A square wave of full scale, whose partials meet at other times."""
    square = np.sign(np.sin(2 * np.pi * 110 * np.arange(RATE) / RATE + 0.1))
    for level in (0.99, 1.5):
        stretched = time_stretch(Clip((level * square)[None], RATE), 0.95)
        assert np.abs(stretched.samples).max() == pytest.approx(max(1.0, level))


@pytest.mark.parametrize("samples", [1, 500])
def test_a_clip_under_the_window_is_refused(samples):
    with pytest.raises(TonearmError, match=r"too short for a time stretch; give 0\.064 s or more"):
        time_stretch(Clip(np.zeros((1, samples), np.float32), RATE), 1.05)
