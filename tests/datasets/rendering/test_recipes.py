"""Plans of the recipes: sizes, labels and the notes that are played."""

from collections import Counter

import numpy as np
import pytest

from tests.datasets.rendering.conftest import SineRenderer
from tonearm.datasets.rendering.catalogue import RECIPES
from tonearm.datasets.rendering.chords import chord_keys
from tonearm.datasets.rendering.compose import DRUMS, FRAME_RATE, LEAD
from tonearm.datasets.rendering.general_midi import FAMILIES, PITCHED, PROGRAMS, program_columns
from tonearm.datasets.rendering.progressions import progression_keys
from tonearm.datasets.rendering.recipe import PlannedClip
from tonearm.datasets.rendering.tempos import BPM, SOUNDS, clicks


def planned(name: str, count: int, seed: int = 0) -> list[PlannedClip]:
    return list(RECIPES[name].plan(count, seed))


def test_sizes_are_those_of_syntheory() -> None:
    sizes = {name: recipe.size for name, recipe in RECIPES.items()}
    assert sizes == {
        "notes": 9_936, "chords": 13_248, "progressions": 20_976, "tempos": 4_025, "pocket": None,
    }  # fmt: skip


def test_programs_are_general_midi() -> None:
    assert len(PROGRAMS) == len(set(PROGRAMS)) == 128 and len(FAMILIES) == 16
    assert len(PITCHED) == 92
    assert program_columns(73) == {
        "midi_program_num": 73,
        "midi_program_name": "Flute",
        "midi_category": "Pipe",
    }


@pytest.mark.parametrize("name", RECIPES)
def test_a_plan_has_unique_stems_and_one_set_of_columns(name: str) -> None:
    clips = planned(name, 120)
    assert len({clip.stem for clip in clips}) == 120
    assert len({tuple(clip.columns) for clip in clips}) == 1
    assert [clip.stem for clip in planned(name, 120)] == [clip.stem for clip in clips]
    assert [clip.stem for clip in planned(name, 120, seed=1)] != [clip.stem for clip in clips]


def test_all_notes_have_each_pitch_class_octave_and_program_once() -> None:
    clips = planned("notes", 9_936)
    cells = Counter(
        (clip.columns["root_note_name"], clip.columns["octave"], clip.columns["midi_program_num"])
        for clip in clips
    )
    assert len(cells) == 9_936 and set(cells.values()) == {1}
    for clip in clips[::500]:
        octave, pitch_class = divmod(int(clip.columns["midi_note_val"]), 12)
        assert octave == clip.columns["octave"]
        assert pitch_class == clip.columns["root_note_pitch_class"]


def fundamental(audio: np.ndarray, rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio))))
    return float(spectrum.argmax()) * rate / len(audio)


def test_a_note_has_the_frequency_of_its_label(sines: object) -> None:
    clip = next(one for one in planned("notes", 9_936) if one.columns["midi_note_val"] == 69)
    renderer = SineRenderer(None, 32_000)  # type: ignore[arg-type]
    audio = clip.render(renderer)  # type: ignore[arg-type]
    assert audio.shape == (128_000,)
    assert fundamental(audio[:32_000], 32_000) == pytest.approx(440, abs=1)


@pytest.mark.parametrize(
    ("root", "quality", "inversion", "keys"),
    [
        (0, "major", "5", (60, 64, 67)),
        (0, "minor", "6", (63, 67, 72)),
        (0, "dim", "64", (66, 72, 75)),
        (5, "aug", "5", (65, 69, 73)),
        (6, "major", "5", (54, 58, 61)),
        (11, "minor", "5", (59, 62, 66)),
    ],
)
def test_chords_lie_around_middle_c(
    root: int, quality: str, inversion: str, keys: tuple[int, ...]
) -> None:
    assert chord_keys(root, quality, inversion) == keys


def test_progressions_have_the_triads_of_their_scale_degrees() -> None:
    major = [{key % 12 for key in chord} for chord in progression_keys(0, "ionian", (1, 4, 5, 1))]
    assert major == [{0, 4, 7}, {5, 9, 0}, {7, 11, 2}, {0, 4, 7}]
    minor = [{key % 12 for key in chord} for chord in progression_keys(9, "aeolian", (1, 6, 3, 7))]
    assert minor == [{9, 0, 4}, {5, 9, 0}, {0, 4, 7}, {7, 11, 2}]
    assert len({clip.columns["chord_progression"] for clip in planned("progressions", 190)}) == 19


def test_a_metronome_accents_every_fourth_beat() -> None:
    notes = clicks(120, SOUNDS[3], 4.0)
    assert [note.frame / FRAME_RATE for note in notes] == [0.5 * i for i in range(8)]
    assert [note.velocity for note in notes] == [100, 75, 75, 75] * 2
    assert {note.channel for note in notes} == {LEAD}
    assert {note.channel for note in clicks(120, SOUNDS[0], 4.0)} == {DRUMS}


def test_excerpts_of_one_metronome_are_one_track_and_lie_within_it(sines: object) -> None:
    clips = planned("tempos", 4_025)
    tracks = Counter(clip.track for clip in clips)
    assert len(tracks) == len(BPM) * len(SOUNDS) and set(tracks.values()) == {5}
    starts = [float(clip.columns["offset_time"]) for clip in clips]
    assert 0 <= min(starts) < 0.1 and 15.9 < max(starts) <= 16
    renderer = SineRenderer(None, 1_000)  # type: ignore[arg-type]
    audio = clips[-1].render(renderer)  # type: ignore[arg-type]
    assert audio.shape == (4_000,) and np.abs(audio).max() > 0


def test_pieces_have_seeds_of_their_own_and_their_labels() -> None:
    clips = planned("pocket", 3, seed=2)
    assert [clip.track for clip in clips] == [str(3 * 2**32 + i) for i in range(3)]
    assert {"genre", "lead", "bpm", "mode"} <= set(clips[0].columns)
