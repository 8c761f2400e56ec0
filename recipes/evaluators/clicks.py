"""Click tracks.

A tracker trained on full arrangements does not mark isolated clicks as beats.
"""

import numpy as np

from tonearm.audio import Clip

BPM = (50.0, 210.0)


def click_track(
    rng: np.random.Generator, seconds: float, sample_rate: int
) -> tuple[Clip, np.ndarray]:
    """Render a click on every beat: decaying noise or a decaying tone.

    Args:
        rng: source of randomness for tempo, offset and sound.
        seconds: length of the clip.
        sample_rate: in Hz.

    Returns:
        The clip, and its beat times in seconds.
    """
    period = 60 / float(np.exp(rng.uniform(*np.log(BPM))))
    beats = np.arange(rng.uniform(0, period), seconds - 0.1, period)
    time = np.arange(round(rng.uniform(0.01, 0.08) * sample_rate)) / sample_rate
    sound = (
        rng.uniform(-1, 1, len(time))
        if rng.random() < 0.6
        else np.sin(2 * np.pi * rng.uniform(300, 4000) * time)
    )
    click = 0.5 * sound * np.exp(-5 * time / time[-1])
    samples = np.zeros(round(seconds * sample_rate))
    for beat in beats:
        first = round(beat * sample_rate)
        samples[first : first + len(click)] += click[: len(samples) - first]
    return Clip(samples, sample_rate), beats
