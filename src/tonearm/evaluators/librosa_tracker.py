"""Beat tracking by librosa: tempo from the autocorrelation of the onset envelope, then dynamic
programming.

Source: Ellis 2007, "Beat tracking by dynamic programming", Journal of New Music Research 36.
"""

from dataclasses import dataclass

import numpy as np

from tonearm.audio import Clip
from tonearm.onset_envelope import ENVELOPE_HOP, ENVELOPE_SAMPLE_RATE, onset_envelope

PERIODICITY_SECONDS = 4.0
PRIOR_CENTRE_BPM = 120.0
PRIOR_WIDTH_OCTAVES = 2.0
TAIL_SECONDS = 2.0


@dataclass(frozen=True)
class LibrosaTracker:
    """librosa's beat tracker with two settings of its own.

    librosa's defaults (an autocorrelation window of 8 s, a log-normal prior around 120 BPM with a
    width of one octave) read fast pieces at half their tempo. The settings were chosen on 120
    rendered pieces of 10.24 s at 68 to 188 BPM; on 120 other pieces of the same kind, the share
    within 4 % of the true tempo (accuracy 1), of fast pieces (150 BPM and above) and slow ones
    (83 BPM and below):

                          all    slow   fast   accuracy 2
        8 s, 1 octave     .72    .84    .47    .95
        4 s, 2 octaves    .79    .84    .78    .97

    A beat in the first 136 ms is not found, since the onset envelope starts there.
    Where the octave is right, the fitted tempo is off by 0.02 % (median) and 0.05 % (95th
    percentile).
    """

    name: str = "librosa"

    def track(self, clip: Clip) -> np.ndarray:
        """Find beat times in seconds: float64 [beats]; empty for silence and under 128 ms."""
        return self.track_envelope(onset_envelope(clip), clip.seconds)

    def track_envelope(self, envelope: np.ndarray, seconds: float) -> np.ndarray:
        """Find beat times in seconds from an onset envelope.

        Args:
            envelope: of `tonearm.onset_envelope`, float32 [F].
            seconds: length of the clip.

        Returns:
            float64 [beats]; empty for an envelope of zeros.
        """
        if not envelope.any():
            return np.empty(0)
        from librosa.beat import beat_track
        from librosa.feature import tempo

        bpm = tempo(
            onset_envelope=envelope,
            sr=ENVELOPE_SAMPLE_RATE,
            hop_length=ENVELOPE_HOP,
            ac_size=PERIODICITY_SECONDS,
            start_bpm=PRIOR_CENTRE_BPM,
            std_bpm=PRIOR_WIDTH_OCTAVES,
        )
        # librosa misplaces the last beats where the envelope ends in the middle of a pulse, which
        # biases the fit; appended silence prevents that, and librosa trims beats found in silence.
        tail = np.zeros(round(TAIL_SECONDS * ENVELOPE_SAMPLE_RATE / ENVELOPE_HOP), envelope.dtype)
        _, beats = beat_track(
            onset_envelope=np.concatenate((envelope, tail)),
            sr=ENVELOPE_SAMPLE_RATE,
            hop_length=ENVELOPE_HOP,
            bpm=float(bpm[0]),
            units="time",
        )
        return beats[beats <= seconds]
