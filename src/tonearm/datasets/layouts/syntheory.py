"""SynTheory: rendered notes, chords, scales, intervals, progressions, tempos and metres, as Parquet.

    notes/train-00000-of-00028.parquet    one folder per concept; give the folder of one

    concept              default label      other columns
    notes                root_note_name     root_note_pitch_class, octave, root_note_is_accidental,
                                            register, midi_note_val, midi_*
    chords               chord_type         root_note_name, inversion, root_note_is_accidental,
                                            root_note_pitch_class, midi_*
    simple_progressions  chord_progression  key_note_name, key_note_pitch_class, midi_*
    scales               mode               root_note_name, play_style, play_style_name, midi_*
    intervals            interval           root_note_name, root_note_pitch_class, play_style,
                                            play_style_name, midi_note_val, midi_*
    tempos               bpm                click_config_name, midi_program_num, offset_time
    time_signatures      time_signature     time_signature_beats, time_signature_subdivision,
                                            is_compound, bpm, click_config_name, midi_program_num,
                                            offset_time, reverb_level

`midi_*` are midi_program_num, midi_program_name and midi_category. All have the column `audio`; the
concept is found by its columns, since the hub's folders have several names.

Tempos are five excerpts of one render, and time signatures ten: those of one render are a track. Of
the 9,936 notes, 88 are silent.

Source: Wei et al. 2024, "Do music generation models encode music theory?", ISMIR; columns of the
dataset card https://huggingface.co/datasets/meganwei/syntheory, and `row_processor` of each concept
in https://github.com/brown-palm/syntheory/tree/main/dataset/synthetic.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tonearm.datasets import parquet
from tonearm.datasets.layouts.base import Entry, Layout, Table
from tonearm.datasets.skips import SILENT


@dataclass(frozen=True)
class Concept:
    """A set of SynTheory.

    Attributes:
        name: as in the paper.
        label: the default label.
        columns: that no other concept has all of.
        render: columns whose values identify the render of which an item is an excerpt; none where
            each item is a render of its own.
    """

    name: str
    label: str
    columns: frozenset[str]
    render: tuple[str, ...] = ()


CONCEPTS = (
    Concept("notes", "root_note_name", frozenset({"root_note_name", "octave", "register"})),
    Concept("chords", "chord_type", frozenset({"root_note_name", "chord_type", "inversion"})),
    Concept("progressions", "chord_progression", frozenset({"key_note_name", "chord_progression"})),
    Concept("scales", "mode", frozenset({"root_note_name", "mode", "play_style"})),
    Concept("intervals", "interval", frozenset({"root_note_name", "interval", "play_style"})),
    Concept(
        "time signatures",
        "time_signature",
        frozenset({"time_signature", "click_config_name", "reverb_level", "offset_time"}),
        ("time_signature", "click_config_name", "reverb_level"),
    ),
    Concept(
        "tempos",
        "bpm",
        frozenset({"bpm", "click_config_name", "offset_time"}),
        ("bpm", "click_config_name"),
    ),
)


def _concept(columns: Collection[str]) -> Concept | None:
    found = (one for one in CONCEPTS if one.columns | {parquet.AUDIO} <= set(columns))
    return next(found, None)


def _matches(folder: Path) -> bool:
    shards = parquet.find_shards(folder)
    return bool(shards) and _concept(parquet.read_columns(shards, folder)) is not None


def _open(folder: Path) -> Table:
    shards = parquet.find_shards(folder)
    names = parquet.read_columns(shards, folder)
    concept = _concept(names)
    assert concept is not None  # `_matches`
    columns = tuple(name for name in names if name != parquet.AUDIO)

    def entries(needed: Collection[str]) -> Iterator[Entry]:
        for shard, row, values in parquet.read_rows(shards, columns):
            yield Entry(shard, _track(concept, values, f"{shard.name}:{row}"), values, row)

    return Table(columns, concept.label, entries)


def _track(concept: Concept, values: Mapping[str, str], item: str) -> str:
    if not concept.render:
        return item
    return ", ".join(values.get(name, "") for name in concept.render)


SYNTHEORY = Layout(
    name="syntheory",
    expected="Parquet files with the columns of one of SynTheory's concepts, such as notes/",
    matches=_matches,
    open=_open,
    known_defects=frozenset({SILENT}),
)
