"""Notes: decoding of planted posteriors, statistics, and basic-pitch on synthesised notes."""

import builtins
import importlib.util
import math
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.measures.sounds import SAMPLE_RATE, noise, silence
from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.evaluators.base import Note
from tonearm.evaluators.basic_pitch import BasicPitch, decode, frame_times
from tonearm.measures import measure_notes

MELODY = (60, 64, 67, 72, 55, 62)


def synthesised(chords: list[tuple[int, ...]], seconds: float = 0.5) -> Clip:
    """Chords of decaying tones with four harmonics, one after the other, then half a second."""
    samples = np.zeros(round((len(chords) * seconds + 0.5) * SAMPLE_RATE))
    time = np.arange(round(0.9 * seconds * SAMPLE_RATE)) / SAMPLE_RATE
    for index, chord in enumerate(chords):
        start = round(index * seconds * SAMPLE_RATE)
        for pitch in chord:
            hz = 440 * 2 ** ((pitch - 69) / 12)
            tone = sum(np.sin(2 * np.pi * k * hz * time) / k**2 for k in range(1, 5))
            samples[start : start + len(time)] += 0.1 * tone * np.exp(-2 * time)
    return Clip(samples, SAMPLE_RATE)


def posteriors(*notes: tuple[int, int, int], frames: int = 100) -> tuple[np.ndarray, np.ndarray]:
    """Posteriors of frames and onsets for notes of (column, first frame, end frame)."""
    sounding, onsets = np.zeros((frames, 88)), np.zeros((frames, 88))
    for column, start, end in notes:
        sounding[start:end, column] = 0.8
        onsets[start, column] = 0.9
    return sounding, onsets


class Fixed:
    """A transcriber with given notes."""

    name, settings = "fixed", "none"

    def __init__(self, *notes: Note) -> None:
        self.notes = list(notes)

    def transcribe(self, clip: Clip) -> list[Note]:
        return self.notes


def test_planted_posteriors_are_decoded_with_their_times() -> None:
    found = decode(*posteriors((39, 10, 40), (0, 20, 60), (87, 50, 80)))
    times = frame_times(100)
    assert [note.pitch for note in found] == [60, 21, 108]
    assert [note.start for note in found] == pytest.approx(list(times[[10, 20, 50]]))
    assert [note.end for note in found] == pytest.approx(list(times[[40, 60, 80]]))


def test_a_repeated_note_ends_at_the_next_onset() -> None:
    found = decode(*posteriors((39, 10, 40), (39, 40, 70)))
    assert [(note.start, note.end) for note in found] == [
        (frame_times(99)[10], frame_times(99)[40]),
        (frame_times(99)[40], frame_times(99)[70]),
    ]


def test_short_gaps_are_bridged_and_long_ones_end_the_note() -> None:
    sounding, onsets = posteriors((39, 10, 60))
    sounding[20:28, 39] = 0
    assert decode(sounding, onsets)[0].end == frame_times(99)[60]
    sounding[28:45, 39] = 0
    assert not decode(sounding, onsets)  # 10 frames are too short a note
    sounding[20:22, 39] = 0.8
    assert decode(sounding, onsets)[0].end == frame_times(99)[22]


def test_weak_onsets_neighbours_and_onsets_without_sound_are_no_notes() -> None:
    sounding, onsets = posteriors((39, 10, 60), (60, 10, 60))
    onsets[10, 38], sounding[10:60, 38] = 0.6, 0.8  # a semitone below a stronger onset
    onsets[10, 60] = 0.4
    onsets[30, 5] = 0.9
    assert [note.pitch for note in decode(sounding, onsets)] == [60]


def test_statistics_of_overlapping_notes() -> None:
    transcriber = Fixed(Note(0, 1, 60), Note(0.5, 1.5, 66), Note(3, 4, 72))
    found = measure_notes(noise(5.0), transcriber)
    assert found.rate == pytest.approx(3 / 5)
    assert found.polyphony == pytest.approx(3 / 2.5)
    assert found.pitch == pytest.approx(66)
    assert found.share == pytest.approx(2.5 / 5)
    assert [one.name for one in found.measurements] == [
        "note_rate", "polyphony", "note_pitch", "note_share",
    ]  # fmt: skip
    assert {one.protocol for one in found.measurements} == {"notes by fixed, none"}


def test_silence_has_no_values_and_a_clip_without_notes_no_pitch() -> None:
    for clip in (silence(3.0), Clip(np.zeros(0), SAMPLE_RATE)):
        assert {one.value for one in measure_notes(clip, Fixed()).measurements} == {None}
    found = measure_notes(noise(3.0), Fixed())
    assert (found.rate, found.share, found.pitch, found.polyphony) == (0, 0, None, None)


@pytest.mark.parametrize("wrong", [3, "basic-pitch", object()])
def test_a_transcriber_is_a_transcriber(wrong: object) -> None:
    with pytest.raises(TonearmError, match="give a transcriber"):
        measure_notes(noise(), wrong)  # type: ignore[arg-type]


def test_an_absent_package_is_refused_with_its_installation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real_import = builtins.__import__

    def without_onnxruntime(name: str, *rest: Any) -> ModuleType:
        if name == "onnxruntime":
            raise ModuleNotFoundError("No module named 'onnxruntime'", name=name)
        return real_import(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_onnxruntime)
    with pytest.raises(TonearmError, match="pip install --no-deps basic-pitch"):
        BasicPitch()


@pytest.fixture(scope="module")
def basic_pitch() -> BasicPitch:
    pytest.importorskip("onnxruntime", reason="the extra notes is not installed")
    if importlib.util.find_spec("basic_pitch") is None:
        pytest.skip("basic-pitch is not installed")
    return BasicPitch()


def test_a_package_without_the_model_is_refused(
    basic_pitch: BasicPitch, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "basic_pitch").mkdir()
    (tmp_path / "basic_pitch" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(TonearmError, match=r"has no .*nmp.onnx"):
        BasicPitch()


def test_a_synthesised_melody_gives_its_notes(basic_pitch: BasicPitch) -> None:
    clip = synthesised([(pitch,) for pitch in MELODY])
    found = measure_notes(clip, basic_pitch)
    for index, pitch in enumerate(MELODY):
        starts = [note.start for note in found.notes if note.pitch == pitch]
        assert min(abs(start - 0.5 * index) for start in starts) < 0.05
    assert len(found.notes) <= len(MELODY) + 3  # some have a harmonic as a note of its own
    assert found.rate == pytest.approx(len(found.notes) / clip.seconds)
    assert found.polyphony < 1.5
    assert found.pitch == pytest.approx(np.mean(MELODY), abs=3)
    assert found.share == pytest.approx(0.9 * 3 / clip.seconds, abs=0.1)
    assert found.protocol.startswith("notes by basic-pitch 0.")


def test_chords_have_more_notes_at_a_time(basic_pitch: BasicPitch) -> None:
    found = measure_notes(synthesised([(57, 64, 73), (55, 62, 71)], seconds=1.0), basic_pitch)
    assert {note.pitch for note in found.notes} >= {57, 64, 73, 55, 62, 71}
    assert found.polyphony > 2.5


def test_windows_leave_no_seams_and_silence_has_no_notes(basic_pitch: BasicPitch) -> None:
    """Notes keep their times to the end of a clip of many windows."""
    pitches = [(60 + 2 * (i % 7),) for i in range(20)]
    found = basic_pitch.transcribe(synthesised(pitches))
    starts = [note.start for note in found if note.pitch == pitches[-1][0]]
    assert math.isclose(starts[-1], 9.5, abs_tol=0.05)
    assert basic_pitch.transcribe(silence(3.0)) == []


def test_rate_and_channels_do_not_change_the_notes(basic_pitch: BasicPitch) -> None:
    clip = synthesised([(pitch,) for pitch in MELODY[:3]])
    other = clip.with_channels(2).resampled(44_100)
    pitches = {note.pitch for note in basic_pitch.transcribe(other)}
    assert pitches == {note.pitch for note in basic_pitch.transcribe(clip)} >= set(MELODY[:3])
