"""Scores: notes with their ground truth.

Times are in pocket's frames of 40 ms and need not be whole: performances have human timing and free
tempos.
"""

from dataclasses import dataclass, field

from tonearm.datasets.rendering.compose import Note


@dataclass(frozen=True)
class Score:
    """Notes, and the ground truth about them."""

    notes: list[Note] = field(repr=False)
    programs: dict[int, int]  # channel -> General MIDI program
    kit: int  # program of the drum bank
    beats: list[float]  # seconds
    downbeats: list[float]  # seconds, each of them a beat
    labels: dict[str, str | float]
    brightness: str = "neutral"  # dark | neutral | bright
    dynamics: str = "normal"  # soft | normal | loud
    room: float = 0.0  # reverberation time (RT60) in seconds; 0 is dry
    wet: float = 0.0  # level of the reverberation beside the dry sound
