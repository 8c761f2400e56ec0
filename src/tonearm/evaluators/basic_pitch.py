"""basic-pitch: a transcriber of notes of any instrument.

Source: Bittner et al. 2022, "A lightweight instrument-agnostic model for polyphonic note
transcription and multipitch estimation", ICASSP. The ONNX model of the package basic-pitch
(Spotify, Apache-2.0) runs by onnxruntime; its package requires TensorFlow and is not imported. It
was trained by others on recordings (MAESTRO, GuitarSet, MedleyDB, iKala) and synthesised music
(Slakh), and shares no data with pocket's corpus.

    windows   22,050 Hz mono, 43,844 samples (172 frames of 256) that overlap by 30 frames, of which
              15 at either end are context only
    onset     posterior of 0.5 or more that is a maximum in time and not below either neighbour in
              pitch
    note      from its onset until the frame posterior is below 0.3 for 11 frames (0.13 s), or until
              the next onset of its pitch; a note under 11 frames is dropped

The original's second pass, which finds notes without an onset, is left out.

Shapes: T frames; posteriors [T, 88], from A0 (MIDI 21).
"""

import importlib.util
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.evaluators.base import Note
from tonearm.frame_levels import is_sounding
from tonearm.loading import loading_errors

PACKAGE = "basic_pitch"
MODEL = Path("saved_models", "icassp_2022", "nmp.onnx")
INSTALL = 'pip install "tonearm[notes]" and pip install --no-deps basic-pitch'

SAMPLE_RATE = 22_050
HOP = 256
WINDOW_SAMPLES = 43_844
WINDOW_FRAMES = 172
BORDER_FRAMES = 15
BODY_FRAMES = WINDOW_FRAMES - 2 * BORDER_FRAMES
BODY_SAMPLES = WINDOW_SAMPLES - 2 * BORDER_FRAMES * HOP
INPUT = "serving_default_input_2:0"
NOTE_OUTPUT, ONSET_OUTPUT = "StatefulPartitionedCall:1", "StatefulPartitionedCall:2"
LOWEST_PITCH = 21
ONSET_THRESHOLD = 0.5
FRAME_THRESHOLD = 0.3
MIN_NOTE_FRAMES = 11
MAX_GAP_FRAMES = 11


class BasicPitch:
    """Transcriber by the ONNX model of an installed basic-pitch.

    Raises:
        TonearmError: basic-pitch or onnxruntime is not installed.
    """

    settings = (
        f"onset >= {ONSET_THRESHOLD}, frame >= {FRAME_THRESHOLD}, "
        f"{MIN_NOTE_FRAMES * HOP / SAMPLE_RATE:.2f} s or longer"
    )

    def __init__(self) -> None:
        self._session = _load_session()
        self.name = f"basic-pitch {version('basic-pitch')}"

    def transcribe(self, clip: Clip) -> list[Note]:
        """Find the notes of a clip, by start; none in silence."""
        if not is_sounding(clip):
            return []
        frames, onsets = self.posteriors(clip)
        return decode(frames, onsets)

    def posteriors(self, clip: Clip) -> tuple[np.ndarray, np.ndarray]:
        """Compute the posteriors of sounding notes and of their onsets, float32 [T, 88] each."""
        mono = Clip(clip.mono, clip.sample_rate).resampled(SAMPLE_RATE).samples[0]
        #   0: padding
        #   samples    |000|------------------------ clip ------------------------|0000000|
        #   window 0   [bbb|------- body -------|bbb]
        #   window 1                        [bbb|------- body -------|bbb]
        n_windows = max(1, -(-len(mono) // BODY_SAMPLES))
        border = BORDER_FRAMES * HOP
        padded = np.pad(mono, (border, n_windows * BODY_SAMPLES + border - len(mono)))
        bodies = []
        for start in range(0, n_windows * BODY_SAMPLES, BODY_SAMPLES):
            window = padded[None, start : start + WINDOW_SAMPLES, None]
            found = self._session.run([NOTE_OUTPUT, ONSET_OUTPUT], {INPUT: window})
            bodies.append([rows[0, BORDER_FRAMES:-BORDER_FRAMES] for rows in found])
        frames, onsets = (np.concatenate(rows) for rows in zip(*bodies, strict=True))
        count = int(np.searchsorted(frame_times(len(frames)), len(mono) / SAMPLE_RATE))
        return frames[:count], onsets[:count]


def frame_times(count: int) -> np.ndarray:
    """Compute the start of each frame in seconds, float64 [count].

    The body of a window has 142 frames of 256 samples, 188 samples more than its own length.
    """
    window, frame = np.divmod(np.arange(count), BODY_FRAMES)
    return (window * BODY_SAMPLES + frame * BODY_SAMPLES / BODY_FRAMES) / SAMPLE_RATE


def decode(frames: np.ndarray, onsets: np.ndarray) -> list[Note]:
    """Decode posteriors into notes, as in the module's docstring.

    Args:
        frames: posteriors of sounding notes, [T, 88].
        onsets: posteriors of onsets, [T, 88].

    Returns:
        The notes by start, then by pitch.
    """
    times = frame_times(len(frames) + 1)
    before, after = np.pad(onsets, ((1, 0), (0, 0)))[:-1], np.pad(onsets, ((0, 1), (0, 0)))[1:]
    below, above = np.pad(onsets, ((0, 0), (1, 0)))[:, :-1], np.pad(onsets, ((0, 0), (0, 1)))[:, 1:]
    is_peak = (onsets > before) & (onsets >= after) & (onsets >= below) & (onsets >= above)
    is_onset = is_peak & (onsets >= ONSET_THRESHOLD)
    notes = []
    for column in np.flatnonzero(is_onset.any(0)):
        starts = np.flatnonzero(is_onset[:, column])
        for start, limit in zip(starts, [*starts[1:], len(frames)], strict=True):
            length = _sounding_length(frames[start:limit, column] >= FRAME_THRESHOLD)
            if length >= MIN_NOTE_FRAMES:
                end = times[start + length]
                notes.append(Note(float(times[start]), float(end), int(column) + LOWEST_PITCH))
    return sorted(notes, key=lambda note: (note.start, note.pitch))


def _sounding_length(sounding: np.ndarray) -> int:
    """Frames up to the last sounding one before the first gap of MAX_GAP_FRAMES."""
    positions = np.flatnonzero(sounding)
    if not len(positions) or positions[0] >= MAX_GAP_FRAMES:
        return 0
    gaps = np.flatnonzero(np.diff(positions) > MAX_GAP_FRAMES)
    return int(positions[gaps[0] if len(gaps) else -1]) + 1


def model_file() -> Path:
    """Find the model in the installed package, without importing it.

    Raises:
        TonearmError: basic-pitch is not installed, or has no such model.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise TonearmError(f"basic-pitch is not installed: {INSTALL}")
    path = Path(spec.submodule_search_locations[0]) / MODEL
    if not path.is_file():
        raise TonearmError(f"basic-pitch has no {MODEL}; install version 0.4: {INSTALL}")
    return path


def _load_session() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise TonearmError(f"onnxruntime is not installed: {INSTALL}") from error
    path = model_file()
    with loading_errors("the model of basic-pitch", INSTALL):
        return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
