"""Agreement of the notes of two clips: whether the second has the notes of the first.

    note_agreement       precision, recall and F1 of the notes at equal times
    pitch_class_overlap  sum over pitch classes c of min(p(c), q(c)),  p, q shares of the clips'
                         note durations; for clips of different times, such as a continuation and
                         the music before it

A note of one clip matches one of the other if both have the same pitch and begin within 0.1 s of
each other; every note has at most one match, and as many as possible are matched. Ends are ignored,
since instruments differ in them.

Sources: precision, recall and F1 of notes by onset and pitch as `mir_eval.transcription` (Raffel et
al. 2014) without offsets, whose tolerance is 0.05 s by default; 0.1 s allows for the attacks of
another instrument. The overlap is the histogram intersection of Swain & Ballard 1991 on the
pitch-class histogram of Tzanetakis et al. 2003, here weighted by duration.

Conventions: times in seconds, pitches as whole MIDI numbers. Values are None for silent clips
(which a study counts apart, since a mean without them is too favourable). Notes in unrelated music
agree by chance, the more the denser it is: compare a value with that of the same clip with a third,
unrelated one.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tonearm import boundary
from tonearm.errors import TonearmError

ONSET_TOLERANCE = 0.1  # seconds
TIME_DECIMALS = 4  # of a difference of onsets, so that one of the tolerance itself is a match

NoteRows = np.ndarray | Sequence[Sequence[float]]  # [notes, (start s, end s, MIDI number)]

PROTOCOL = f"same pitch, onsets within {ONSET_TOLERANCE} s, ends ignored, one match for each note"


@dataclass(frozen=True)
class NoteAgreement:
    """Agreement of a clip's notes with those of a reference.

    Attributes:
        precision: share of the clip's notes that match; 0 without notes.
        recall: share of the reference's notes that match; 0 without notes.
        f1: harmonic mean of both.
    """

    precision: float
    recall: float
    f1: float


def note_agreement(
    first: NoteRows | None,
    second: NoteRows | None,
    any_octave: bool = False,
    seconds: float | None = None,
) -> NoteAgreement | None:
    """Compare the notes of two clips at equal times.

    Args:
        first: notes of the reference, rows of (start, end, pitch); None for silence.
        second: notes of the other clip; None for silence.
        any_octave: match notes of one pitch class, whatever their octaves.
        seconds: length that is compared, such as that of the shorter clip; notes that begin later
            are left out. None for all notes.

    Returns:
        The agreement; None where either clip is silent, or neither has a note.

    Raises:
        TonearmError: rows that are no notes.
    """
    rows = _both(first, second)
    boundary.flag(any_octave, "any_octave")
    end = np.inf if seconds is None else boundary.number(seconds, "seconds")
    if rows is None:
        return None
    one, other = (notes[notes[:, 0] < end] for notes in rows)
    if not len(one) and not len(other):
        return None
    onsets, other_onsets = _onsets(one, any_octave), _onsets(other, any_octave)
    matches = sum(_matches(onsets[pitch], other_onsets[pitch]) for pitch in tuple(onsets))
    return NoteAgreement(
        precision=matches / max(1, len(other)),
        recall=matches / max(1, len(one)),
        f1=2 * matches / (len(one) + len(other)),
    )


def pitch_class_overlap(first: NoteRows | None, second: NoteRows | None) -> float | None:
    """Compare the pitch classes of two clips, whatever their times.

    Args:
        first: notes of a clip, rows of (start, end, pitch); None for silence.
        second: notes of the other clip; None for silence.

    Returns:
        Overlap, 0 .. 1; None where either clip has no notes.

    Raises:
        TonearmError: rows that are no notes.
    """
    rows = _both(first, second)
    if rows is None or not all(len(notes) for notes in rows):
        return None
    shares = [pitch_class_shares(notes) for notes in rows]
    return float(np.minimum(*shares).sum())


def pitch_class_shares(notes: NoteRows) -> np.ndarray:
    """Share of each pitch class from C in the total duration of one note or more: float64 [12]."""
    rows = _notes(notes, "notes")
    durations = np.bincount(rows[:, 2].astype(int) % 12, rows[:, 1] - rows[:, 0], minlength=12)
    return durations / durations.sum()


def _both(first: object, second: object) -> tuple[np.ndarray, np.ndarray] | None:
    """Check the notes of both clips; None where either is None."""
    one = boundary.optional(_notes, first, "first")
    other = boundary.optional(_notes, second, "second")
    return None if one is None or other is None else (one, other)


def _notes(value: object, name: str) -> np.ndarray:
    """Return notes as float64 [notes, 3]."""
    if isinstance(value, list | tuple) and not value:
        return np.empty((0, 3))
    rows = boundary.array(value, name, dimensions=2)
    if rows.shape[1] != 3:
        raise TonearmError(
            f"{name} has rows of {rows.shape[1]} numbers; give start, end and pitch of each note"
        )
    for start, end, pitch in rows:
        if start >= end or not pitch.is_integer():
            raise TonearmError(
                f"{name} has a note from {start:g} to {end:g} s with pitch {pitch:g}; give an end "
                "after the start, and the pitch as a whole MIDI number"
            )
    return rows


def _onsets(notes: np.ndarray, any_octave: bool) -> dict[int, list[float]]:
    """Onsets by pitch or pitch class, in order."""
    found: dict[int, list[float]] = defaultdict(list)
    for start, _, pitch in notes[notes[:, 0].argsort()]:
        found[int(pitch) % 12 if any_octave else int(pitch)].append(float(start))
    return found


def _matches(first: Sequence[float], second: Sequence[float]) -> int:
    """Size of the largest matching of two sorted lists of onsets.

    With one tolerance for all, the earliest pairs that match are a part of a largest matching.
    """
    count = i = j = 0
    while i < len(first) and j < len(second):
        difference = round(first[i] - second[j], TIME_DECIMALS)
        is_match = abs(difference) <= ONSET_TOLERANCE
        count += is_match
        i += is_match or difference < 0
        j += is_match or difference > 0
    return count
