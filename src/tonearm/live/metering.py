"""Meters: measurements of the last seconds of both streams, in a thread of their own.

After each measurement the thread sleeps at least REST_FACTOR times as long, so that it uses at most
1 / (1 + REST_FACTOR) of a core.
"""

import math
import time
from threading import Event, Thread

import numpy as np

from tonearm.audio import Clip
from tonearm.live.events import Meters, Reading, Subscriber
from tonearm.live.recent import RecentAudio
from tonearm.measures.base import ClipAnalysis
from tonearm.measures.spectral_centroid import SPECTRAL_CENTROID
from tonearm.measures.tempo import estimate_tempo
from tonearm.threads import yield_to_music

SECONDS = 8.0  # that are measured
LEAST_SECONDS = 2.0
PERIOD = 2.0  # between two measurements, at least
REST_FACTOR = 8.0


def reading_of(clip: Clip) -> Reading:
    """Measure tempo, spectral centroid and loudness of a clip."""
    analysis = ClipAnalysis(clip)
    loudness = clip.loudness
    return Reading(
        tempo=estimate_tempo(analysis).bpm,
        centroid=SPECTRAL_CENTROID.measurements(analysis)[0].number,
        loudness=loudness if math.isfinite(loudness) else None,
    )


class MeterThread:
    """Measures while there is new audio.

    Args:
        recent: audio of the session.
        sample_rate: in Hz.
        publish: called with Meters.
    """

    def __init__(self, recent: RecentAudio, sample_rate: int, publish: Subscriber):
        self.latest: Meters | None = None
        self._recent, self._rate, self._publish = recent, sample_rate, publish
        self._ended = Event()
        self._thread = Thread(target=self._run, name="tonearm-meters", daemon=True)

    def prepare(self) -> None:
        """Compile the measures, so that the first measurement is no slower than the others: compiling
        takes a second, in which the music of the session would wait.
        """
        reading_of(_beats(self._rate))

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """End the thread, after the measurement in progress."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        yield_to_music()
        measured = 0
        while not self._ended.is_set():
            begun = time.perf_counter()
            steered, plain, end = self._recent.last(round(SECONDS * self._rate))
            if end != measured and steered.shape[1] >= LEAST_SECONDS * self._rate:
                measured = end
                seconds = steered.shape[1] / self._rate
                readings = (reading_of(Clip(one, self._rate)) for one in (steered, plain))
                self.latest = Meters(end, seconds, *readings)
                self._publish(self.latest)
            self._ended.wait(max(PERIOD, REST_FACTOR * (time.perf_counter() - begun)))


def _beats(sample_rate: int) -> Clip:
    """Bursts of noise at 120 BPM: a clip with a tempo, whose measurement needs everything."""
    time = np.arange(round(SECONDS * sample_rate)) / sample_rate
    noise = np.random.default_rng(0).standard_normal(len(time))
    bursts = 0.3 * noise * np.exp(-20 * (time % 0.5))
    return Clip(bursts[None].astype(np.float32), sample_rate)
