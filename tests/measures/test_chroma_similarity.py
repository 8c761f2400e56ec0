"""Chroma over time, and its similarity between a melody and its copies in other timbre and pitch."""

import numpy as np
import pytest

from tests.measures.melodies import MELODY, STRING, rendered, transposed
from tests.measures.sounds import SAMPLE_RATE, noise, silence
from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.measures import ClipAnalysis, chroma_similarity, mean_chroma_similarity

C, E, G = np.eye(12)[[0, 4, 7]]


def steps(pitches, harmonics=1):
    return ClipAnalysis(rendered(pitches, harmonics)).chroma_steps


def mean(pitches, harmonics=1):
    return ClipAnalysis(rendered(pitches, harmonics)).chroma


def test_each_step_has_the_pitch_class_of_its_note_and_unit_length():
    found = steps(MELODY)
    assert found.shape == (len(MELODY), 12)
    assert found.argmax(1).tolist() == [pitch % 12 for pitch in MELODY]
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1)


def test_silent_steps_are_zero_and_the_rest_after_the_last_step_is_left_out():
    clip = rendered((60, None, None, 64, 67))
    clip = Clip(clip.samples[:, : -SAMPLE_RATE // 10], SAMPLE_RATE)  # 2.4 s
    found = ClipAnalysis(clip).chroma_steps
    assert found.any(1).tolist() == [True, False, False, True]
    faint = Clip(clip.samples / 1000, SAMPLE_RATE)
    assert ClipAnalysis(faint).chroma_steps is None


def test_the_mean_is_that_of_the_frames():
    analysis = ClipAnalysis(rendered(MELODY))
    np.testing.assert_array_equal(analysis.chroma, analysis.chroma_frames.mean(1, dtype=np.float64))


@pytest.mark.parametrize("clip", [silence(3.0), noise(1.9)])
def test_silence_and_short_clips_have_no_steps(clip):
    assert ClipAnalysis(clip).chroma_steps is None


def test_a_melody_is_like_itself_in_another_timbre_and_octave_and_unlike_others():
    own = steps(MELODY)
    assert chroma_similarity(own, own) == pytest.approx(1)
    assert chroma_similarity(own.tolist(), own.round(4).tolist()) == pytest.approx(1, abs=1e-6)
    assert chroma_similarity(own, steps(MELODY, STRING)) > 0.95
    assert chroma_similarity(own, steps(transposed(MELODY, -12), STRING)) > 0.9
    for semitones in (1, 6, -3):
        assert chroma_similarity(own, steps(transposed(MELODY, semitones))) < 0.5
    later = MELODY[1:] + MELODY[:1]
    assert chroma_similarity(own, steps(later)) < 0.5


def test_the_mean_chroma_ignores_times_and_not_pitches():
    own = mean(MELODY)
    assert mean_chroma_similarity(own, 3 * own) == pytest.approx(1)
    assert mean_chroma_similarity(own, mean(MELODY[5:] + MELODY[:5], STRING)) > 0.95
    assert mean_chroma_similarity(own, mean(transposed(MELODY, 6))) < 0.8


def test_only_common_steps_in_which_both_sound_count():
    silent = np.zeros(12)
    first, second = np.array([C, E, silent, G, C]), np.array([C, C, G, silent])
    assert chroma_similarity(first, second) == pytest.approx(0.5)
    assert chroma_similarity(second, 7 * first) == pytest.approx(0.5)


def test_without_a_common_sounding_step_there_is_no_similarity():
    silent = np.zeros((3, 12))
    assert chroma_similarity(None, [C]) is chroma_similarity([C], None) is None
    assert chroma_similarity([C, C, C], silent) is None
    assert mean_chroma_similarity(C, None) is mean_chroma_similarity(C, silent[0]) is None


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("C", "first .* give real numbers"),
        ([[1.0] * 11], "first has 11 pitch classes; give chroma of 12"),
        ([[[1.0] * 12]], "first has shape"),
        ([[np.nan] * 12], "first holds NaN"),
    ],
)
def test_other_shapes_are_refused(wrong, message):
    with pytest.raises(TonearmError, match=message):
        chroma_similarity(wrong, [C])
    with pytest.raises(TonearmError):
        mean_chroma_similarity(C, wrong)
