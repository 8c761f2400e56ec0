"""Agreement of planted notes, beside that of mir_eval."""

import mir_eval
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.measures.melodies import MELODY, NOTE_SECONDS, transposed
from tonearm.errors import TonearmError
from tonearm.measures import NoteAgreement, note_agreement, pitch_class_overlap
from tonearm.measures.note_agreement import ONSET_TOLERANCE, pitch_class_shares

ALL, NONE = NoteAgreement(1, 1, 1), NoteAgreement(0, 0, 0)


def notes_of(pitches, delay=0.0):
    return [
        [i * NOTE_SECONDS + delay, (i + 1) * NOTE_SECONDS + delay, pitch]
        for i, pitch in enumerate(pitches)
    ]


OWN = notes_of(MELODY)


def test_notes_agree_with_themselves_whatever_their_ends():
    assert note_agreement(OWN, OWN) == ALL
    longer = [[start, end + 0.3, pitch] for start, end, pitch in OWN]
    assert note_agreement(OWN, np.array(longer)) == ALL


@pytest.mark.parametrize(("delay", "expected"), [(0.1, ALL), (-0.1, ALL), (0.11, NONE)])
def test_notes_agree_up_to_the_tolerance_of_their_onsets(delay, expected):
    assert note_agreement(OWN, notes_of(MELODY, delay)) == expected
    # 0.4 - 0.3 is above 0.1 in floating point
    assert note_agreement([[0.4, 1, 60]], [[0.4 - delay, 1, 60]]) == expected


def test_an_octave_is_another_pitch_of_the_same_class():
    for semitones, any_octave in ((12, ALL), (-24, ALL), (1, NONE)):
        other = notes_of(transposed(MELODY, semitones))
        assert note_agreement(OWN, other) == NONE
        assert note_agreement(OWN, other, any_octave=True) == any_octave


def test_precision_falls_with_added_notes_and_recall_with_missing_ones():
    added = note_agreement(OWN, OWN + notes_of(transposed(MELODY, 1)))
    assert (added.precision, added.recall) == (0.5, 1)
    missing = note_agreement(OWN, OWN[::2])
    assert (missing.precision, missing.recall) == (1, 0.5)
    assert added.f1 == missing.f1 == pytest.approx(2 / 3)


def test_only_notes_that_begin_in_the_compared_seconds_count():
    assert note_agreement(OWN, OWN[:4]).recall == pytest.approx(1 / 3)
    assert note_agreement(OWN, OWN[:4], seconds=4 * NOTE_SECONDS) == ALL


def test_silence_has_no_agreement_and_a_clip_without_notes_the_lowest():
    assert note_agreement(OWN, None) is note_agreement(None, OWN) is None
    assert note_agreement([], []) is note_agreement(OWN, OWN, seconds=0) is None
    assert note_agreement(OWN, []) == note_agreement([], OWN) == NONE
    assert pitch_class_overlap(OWN, None) is pitch_class_overlap(OWN, []) is None


notes = st.lists(
    st.tuples(st.integers(0, 60), st.integers(58, 74)).map(
        lambda note: [note[0] / 50, note[0] / 50 + 0.2, note[1]]
    ),
    min_size=1,
    max_size=25,
)


@given(notes, notes, st.booleans())
def test_agreement_is_that_of_mir_eval(first, second, any_octave):
    def arrays(rows):
        rows = np.array(rows)
        pitches = rows[:, 2] % 12 + 60 if any_octave else rows[:, 2]
        return rows[:, :2], mir_eval.util.midi_to_hz(pitches)

    expected = mir_eval.transcription.precision_recall_f1_overlap(
        *arrays(first), *arrays(second), onset_tolerance=ONSET_TOLERANCE, offset_ratio=None
    )
    found = note_agreement(first, second, any_octave)
    assert (found.precision, found.recall, found.f1) == pytest.approx(expected[:3])


def test_the_overlap_of_pitch_classes_weighs_durations_and_ignores_times():
    first = [[0, 3, 60], [3, 4, 67]]  # three quarters C
    second = [[8, 9, 48], [8, 9, 79]]  # one half C
    np.testing.assert_allclose(pitch_class_shares(first)[[0, 7]], [0.75, 0.25])
    assert pitch_class_overlap(first, second) == pitch_class_overlap(second, first) == 0.75
    assert pitch_class_overlap(OWN, OWN[::-1]) == pytest.approx(1)
    assert pitch_class_overlap(first, notes_of((61, 62))) == 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (3, "second .* give real numbers"),
        ([[0, 1]], "second has rows of 2 numbers; give start, end and pitch"),
        ([[1, 1, 60]], "a note from 1 to 1 s with pitch 60"),
        ([[0, 1, 60.5]], "pitch 60.5; give .* whole MIDI number"),
    ],
)
def test_rows_that_are_no_notes_are_refused(wrong, message):
    for compare in (note_agreement, pitch_class_overlap):
        with pytest.raises(TonearmError, match=message):
            compare(OWN, wrong)
