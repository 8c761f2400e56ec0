"""SynTheory: concepts by their columns, silent notes, and excerpts of one render."""

from pathlib import Path

import pytest

from tests.datasets.layouts.parquet_files import encoded, write_shard
from tests.measures.sounds import silence, tone
from tonearm.datasets.labelled_audio import read_corpus
from tonearm.datasets.reading import skip_log, sounding_clips
from tonearm.datasets.skips import SILENT
from tonearm.errors import TonearmError

PROGRAM = {
    "midi_program_num": 73,
    "midi_program_name": "Flute",
    "midi_category": "Pipe Timbres",
}
CLICK = {"click_config_name": "taiko", "midi_program_num": 116}


def audio(name: str, is_silent: bool = False) -> dict:
    clip = silence() if is_silent else tone(330, 0.2)
    return {"audio": {"bytes": encoded(clip), "path": f"{name}.wav"}}


def note(key: int, is_silent: bool = False) -> dict:
    names = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
    name = names[key % 12]
    return audio(f"{key}_{name}_73_Flute", is_silent) | {
        "root_note_name": name,
        "root_note_pitch_class": key % 12,
        "octave": key // 12,
        "root_note_is_accidental": "#" in name,
        "register": key // 36,
        "midi_note_val": key,
        **PROGRAM,
    }


CONCEPTS = {
    "notes": [note(60), note(61), note(74)],
    "chords": [
        audio(kind)
        | {
            "root_note_name": "C",
            "chord_type": kind,
            "inversion": 64,
            "root_note_is_accidental": False,
            "root_note_pitch_class": 0,
            **PROGRAM,
        }
        for kind in ("major", "minor", "aug", "dim")
    ],
    "simple_progressions": [
        audio(name)
        | {
            "key_note_name": "C",
            "key_note_pitch_class": 0,
            "chord_progression": name,
            **PROGRAM,
        }
        for name in ("ionian-(1, 4, 5, 1)", "aeolian-(7, 6, 7, 1)")
    ],
    "scales": [
        audio(mode)
        | {
            "root_note_name": "C",
            "mode": mode,
            "play_style": 0,
            "play_style_name": "UP",
            **PROGRAM,
        }
        for mode in ("ionian", "dorian")
    ],
    "intervals": [
        audio(str(size))
        | {
            "root_note_name": "C",
            "root_note_pitch_class": 0,
            "interval": size,
            "play_style": 2,
            "play_style_name": "UNISON",
            "midi_note_val": 60,
            **PROGRAM,
        }
        for size in (1, 12)
    ],
    "tempos": [
        audio(f"{bpm}_{i}") | {"bpm": bpm, **CLICK, "offset_time": 0.5 * i}
        for bpm in (50, 210)
        for i in range(5)
    ],
    "time_signatures": [
        audio(f"{beats}_{i}_{level}")
        | {
            "time_signature": f"({beats}, 4)",
            "time_signature_beats": beats,
            "time_signature_subdivision": 4,
            "is_compound": 0,
            "bpm": 120,
            **CLICK,
            "offset_time": 0.5 * i,
            "reverb_level": level,
        }
        for beats in (2, 3)
        for level in (0, 2)
        for i in range(10)
    ],
}
LABELS = {
    "notes": ["C", "C#", "D"],
    "chords": ["aug", "dim", "major", "minor"],
    "simple_progressions": ["aeolian-(7, 6, 7, 1)", "ionian-(1, 4, 5, 1)"],
    "scales": ["dorian", "ionian"],
    "intervals": ["1", "12"],
    "tempos": ["210", "50"],
    "time_signatures": ["(2, 4)", "(3, 4)"],
}
TRACKS = {"tempos": 2, "time_signatures": 4}


@pytest.fixture
def syntheory(tmp_path: Path) -> Path:
    for concept, rows in CONCEPTS.items():
        half = len(rows) // 2
        for number, part in enumerate((rows[:half], rows[half:])):
            write_shard(tmp_path / concept / f"train-{number:05d}-of-00002.parquet", part)
    return tmp_path


@pytest.mark.parametrize("concept", CONCEPTS)
def test_each_concept_has_its_labels_and_tracks(syntheory: Path, concept: str) -> None:
    corpus = read_corpus([syntheory / concept])
    assert corpus.layout.name == "syntheory"
    assert corpus.labels == LABELS[concept] and len(corpus) == len(CONCEPTS[concept])
    tracks = {file.track for file in corpus}
    assert len(tracks) == TRACKS.get(concept, len(CONCEPTS[concept]))


def test_the_folders_of_the_hubs_conversion_are_found(tmp_path: Path) -> None:
    write_shard(tmp_path / "notes" / "train" / "0000.parquet", CONCEPTS["notes"])
    assert len(read_corpus([tmp_path])) == 3


def test_another_column_is_the_label_and_others_select(syntheory: Path) -> None:
    octaves = read_corpus([syntheory / "notes"], label="octave")
    assert [file.label for file in octaves] == ["5", "5", "6"]
    notes = read_corpus([syntheory / "notes"], where={"octave": "5"})
    assert [(file.label, file.columns["midi_note_val"]) for file in notes] == [
        ("C", "60"),
        ("C#", "61"),
    ]


def test_several_concepts_at_once_are_refused(syntheory: Path) -> None:
    with pytest.raises(
        TonearmError, match=r"different columns; give the folder of one set .*notes"
    ):
        read_corpus([syntheory])


def test_silent_notes_are_left_out_with_a_count(tmp_path: Path) -> None:
    rows = [note(0, is_silent=True), note(1, is_silent=True), note(60), note(61)]
    write_shard(tmp_path / "notes" / "train-00000-of-00001.parquet", rows)
    corpus = read_corpus([tmp_path / "notes"])
    log = skip_log(corpus)
    assert [file.label for file, _ in sounding_clips(corpus, log)] == ["C", "C#"]
    (skipped,) = log.skipped
    assert skipped.reason == SILENT and skipped.known and len(skipped.names) == 2
