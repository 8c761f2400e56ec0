"""Notes: rate, polyphony, mean pitch and share of time, by a transcriber (basic-pitch).

    note_rate    notes per second of the clip
    polyphony    mean number of sounding notes over the time in which any note sounds
    note_pitch   mean pitch of the notes, weighted by their durations, as MIDI number (69 is A4)
    note_share   share of the clip in which any note sounds

Aim: density and register by an evaluator of another family than the bundled CLAP and beat tracker.
Drums without pitch give no notes.

Conventions: all None for silence; polyphony and pitch None without notes.

Source: see `tonearm.evaluators.basic_pitch`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tonearm import boundary
from tonearm.audio import Clip
from tonearm.evaluators.base import Note, Transcriber, as_clip, as_transcriber
from tonearm.evaluators.load import default_transcriber
from tonearm.frame_levels import is_sounding
from tonearm.measures.base import Measurement


@dataclass(frozen=True)
class Notes:
    """Notes of one clip and their statistics.

    Attributes:
        notes: by start.
        rate: per second; None for silence, as all below.
        polyphony: notes at a time; None without notes.
        pitch: MIDI number; None without notes.
        share: of the time.
        protocol: transcriber and settings.
    """

    notes: tuple[Note, ...]
    rate: float | None
    polyphony: float | None
    pitch: float | None
    share: float | None
    protocol: str

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        return (
            Measurement("note_rate", self.rate, "1/s", self.protocol),
            Measurement("polyphony", self.polyphony, "notes", self.protocol),
            Measurement("note_pitch", self.pitch, "MIDI number", self.protocol),
            Measurement("note_share", self.share, "share", self.protocol),
        )


def measure_notes(clip: Clip, transcriber: Transcriber | None = None) -> Notes:
    """Measure the notes of a clip.

    Args:
        clip: the clip.
        transcriber: basic-pitch, loaded once, where none is given.

    Returns:
        The notes and their statistics; None for silence and samples that are not finite.

    Raises:
        TonearmError: an argument of a wrong type, or basic-pitch is not installed.
    """
    clip = as_clip(clip, "clip")
    transcriber = boundary.optional(as_transcriber, transcriber, "transcriber")
    transcriber = default_transcriber() if transcriber is None else transcriber
    protocol = f"notes by {transcriber.name}, {transcriber.settings}"
    if not is_sounding(clip):
        return Notes((), None, None, None, None, protocol)
    notes = transcriber.transcribe(clip)
    durations = np.array([note.end - note.start for note in notes])
    sounding = _union(notes)
    return Notes(
        notes=tuple(notes),
        rate=len(notes) / clip.seconds,
        polyphony=float(durations.sum() / sounding) if notes else None,
        pitch=float(np.average([note.pitch for note in notes], weights=durations))
        if notes
        else None,
        share=min(1.0, sounding / clip.seconds),
        protocol=protocol,
    )


def _union(notes: Sequence[Note]) -> float:
    """Seconds in which any note sounds; the notes are sorted by start."""
    total = end = 0.0
    for note in notes:
        total += max(0.0, note.end - max(note.start, end))
        end = max(end, note.end)
    return total
