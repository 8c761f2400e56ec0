"""View: everything that the screen shows."""

from dataclasses import dataclass

from tonearm.live.events import Meters
from tonearm.live.state import SessionState
from tonearm.terminal.rows import Row


@dataclass(frozen=True)
class View:
    """A moment of a session.

    model      name of the checkpoint
    state      of the session
    rows       with their values
    selected   index of the row that keys move
    meters     newest measurements of both streams
    seconds    of the performance that have been played
    buffered   seconds of audio
    underruns  of the output
    latency    seconds from a key to the sound, as measured last; None before the first key
    output     its name
    unsaved    takes that were not saved
    text       a prompt that is being written; None where none is
    message    for the person who plays
    host_tempo BPM of MIDI Clock; None without it
    """

    model: str
    state: SessionState
    rows: tuple[tuple[Row, float], ...]
    selected: int
    meters: Meters | None
    seconds: float
    buffered: float
    underruns: int
    latency: float | None
    output: str
    unsaved: int
    text: str | None
    message: str
    host_tempo: float | None
