"""Rendered corpora: files, resuming, and refusals; sines stand in for FluidSynth."""

import csv
import json
from collections import Counter
from pathlib import Path

import pytest

from tests.datasets.rendering.conftest import SineRenderer
from tonearm.datasets.labelled_audio import read_corpus
from tonearm.datasets.reading import skip_log, sounding_clips
from tonearm.datasets.rendering import corpus
from tonearm.datasets.rendering.corpus import GROUP, render_corpus
from tonearm.errors import TonearmError


def contents(folder: Path) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def test_a_rendered_corpus_is_read_with_any_of_its_labels(sines: Path, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    rendered = render_corpus(
        "notes",
        tmp_path / "notes",
        clips=54,
        sound_font=sines,
        progress=lambda done, total: steps.append((done, total)),
    )
    assert rendered.clips == 48 and len(rendered.silent) == 6  # the lowest of nine octaves
    assert all(int(stem.split("-")[1]) < 12 for stem in rendered.silent)
    assert steps == [(0, 54), (32, 54), (54, 54)]
    corpus = read_corpus([tmp_path / "notes"], label="octave")
    assert corpus.labels == [str(octave) for octave in range(1, 9)]
    log = skip_log(corpus)
    clips = [clip for _, clip in sounding_clips(corpus, log)]
    assert len(clips) == 48 and not log.skipped
    assert {(clip.seconds, clip.sample_rate) for clip in clips} == {(4.0, 32_000)}
    names = {path.name for path in (tmp_path / "notes").iterdir()}
    assert names == {"clips", "metadata.csv", "rendering.json"}


def test_excerpts_of_one_render_keep_their_track(
    sines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tonearm.datasets.rendering.tempos.SIZES", (2, 2, 5))
    render_corpus("tempos", tmp_path / "tempos", clips=20, sound_font=sines)
    corpus = read_corpus([tmp_path / "tempos"], label="bpm")
    assert len(corpus) == 20 and len({file.track for file in corpus}) == 4
    assert all(file.track.startswith(f"{int(file.label):03d}-bpm-") for file in corpus)


@pytest.mark.parametrize("stop", [0, GROUP, 2 * GROUP])
def test_a_stopped_run_resumes_and_makes_the_same_files(
    sines: Path, tmp_path: Path, stop: int
) -> None:
    render_corpus("chords", tmp_path / "whole", clips=80, seed=3, sound_font=sines)

    def stopping(done: int, total: int) -> None:
        if done == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render_corpus(
            "chords", tmp_path / "cut", clips=80, seed=3, sound_font=sines, progress=stopping
        )
    assert len(list((tmp_path / "cut").glob("parts/*"))) == stop // GROUP
    with pytest.raises(TonearmError, match="is not complete; run the same tonearm corpus render"):
        read_corpus([tmp_path / "cut"])
    SineRenderer.made = 0
    render_corpus("chords", tmp_path / "cut", clips=80, seed=3, sound_font=sines)
    assert SineRenderer.made == 3 - stop // GROUP  # finished groups are not rendered again
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_an_interrupt_within_a_group_leaves_whole_files(
    sines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    render_corpus("chords", tmp_path / "whole", clips=40, sound_font=sines)
    play = SineRenderer.play

    def failing(self: SineRenderer, *arguments: object) -> object:
        if self.played == 5:
            raise KeyboardInterrupt
        return play(self, *arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(SineRenderer, "play", failing)
        render_corpus("chords", tmp_path / "cut", clips=40, sound_font=sines)
    kept = contents(tmp_path / "cut")
    assert len(kept) == 6 and "metadata.csv" not in kept
    render_corpus("chords", tmp_path / "cut", clips=40, sound_font=sines)
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")
    assert contents(tmp_path / "cut").items() >= kept.items() - {
        ("rendering.json", kept["rendering.json"])
    }


def test_a_finished_corpus_is_not_rendered_again(sines: Path, tmp_path: Path) -> None:
    first = render_corpus("pocket", tmp_path / "pieces", clips=3, sound_font=sines)
    made = SineRenderer.made
    assert render_corpus("pocket", tmp_path / "pieces", clips=3, sound_font=sines) == first
    assert SineRenderer.made == made
    with (tmp_path / "pieces" / "metadata.csv").open(newline="") as file:
        assert [row["track"] for row in csv.DictReader(file)] == [str(2**32 + i) for i in range(3)]


def test_a_finished_corpus_is_read_without_fluidsynth(
    sines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = render_corpus("pocket", tmp_path / "pieces", clips=3, sound_font=sines)

    def missing(*_: object) -> None:
        raise TonearmError("FluidSynth is missing")

    monkeypatch.setattr(corpus, "load_fluidsynth", missing)
    assert render_corpus("pocket", tmp_path / "pieces", clips=3) == first
    with pytest.raises(TonearmError, match="holds a rendering with clips 3"):
        render_corpus("pocket", tmp_path / "pieces", clips=4)
    (tmp_path / "pieces" / "metadata.csv").unlink()
    with pytest.raises(TonearmError, match="FluidSynth is missing"):
        render_corpus("pocket", tmp_path / "pieces", clips=3)


def test_only_the_selected_clips_are_rendered(
    sines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tonearm.datasets.rendering.corpus.is_sounding", lambda clip: False)
    where = {"root_note_pitch_class": "3", "octave": "4"}
    with pytest.raises(TonearmError, match="all 92 clips are silent"):  # one of each program
        render_corpus("notes", tmp_path / "notes", where=where, sound_font=sines)
    parts = sorted((tmp_path / "notes" / "parts").iterdir())
    stems = [
        json.loads(line)["silent"]
        for part in parts
        for line in part.read_text().split("\n")
        if line
    ]
    assert stems == sorted(stems) and len(set(stems)) == 92
    assert all(stem.startswith("key-051-") for stem in stems)


def test_a_subset_of_the_selected_clips_is_balanced(sines: Path, tmp_path: Path) -> None:
    options = {"clips": 24, "where": {"root_note_name": "C"}, "sound_font": sines}
    render_corpus("chords", tmp_path / "chords", **options)
    with (tmp_path / "chords" / "metadata.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["root_note_name"] for row in rows} == {"C"}
    assert set(Counter(row["chord_type"] for row in rows).values()) == {6}
    assert set(Counter(row["inversion"] for row in rows).values()) == {8}
    assert len({row["midi_program_num"] for row in rows}) == 24
    again, other = (
        render_corpus("chords", tmp_path / f"seed {seed}", seed=seed, **options) for seed in (0, 1)
    )
    assert contents(again.folder) == contents(tmp_path / "chords")
    assert contents(other.folder).keys() != contents(again.folder).keys()


def test_a_selection_belongs_to_the_record(sines: Path, tmp_path: Path) -> None:
    folder, where = tmp_path / "notes", {"octave": "4"}
    render_corpus("notes", folder, clips=4, where=where, sound_font=sines)
    record = json.loads((folder / "rendering.json").read_text())
    assert record["where"] == where
    for other, message in [
        ({"octave": "5"}, "with where octave=4; give"),
        (None, "where octave=4"),
    ]:
        with pytest.raises(TonearmError, match=message):
            render_corpus("notes", folder, clips=4, where=other, sound_font=sines)
    render_corpus("notes", tmp_path / "old", clips=4, sound_font=sines)
    path = tmp_path / "old" / "rendering.json"
    record = json.loads(path.read_text())
    del record["where"]  # as in records of corpora without a selection
    path.write_text(json.dumps(record))
    assert render_corpus("notes", tmp_path / "old", clips=4, sound_font=sines).clips
    with pytest.raises(TonearmError, match="with no where; give"):
        render_corpus("notes", tmp_path / "old", clips=4, where=where, sound_font=sines)


def test_another_rendering_or_other_files_in_the_folder_are_refused(
    sines: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "notes"
    render_corpus("notes", folder, clips=12, sound_font=sines)
    other_font = tmp_path / "other.sf2"
    other_font.write_bytes(sines.read_bytes() + b"\1")
    for options, message in [
        ({"clips": 13}, "with clips 12; give the same"),
        ({"seed": 1}, "with seed 0; give"),
        ({"sound_font": other_font}, r"with sound_font tiny\.sf2 [0-9a-f]{16}; give"),
    ]:
        with pytest.raises(TonearmError, match=message):
            render_corpus("notes", folder, **{"clips": 12, "sound_font": sines, **options})
    with pytest.raises(TonearmError, match="with recipe notes; give"):
        render_corpus("chords", folder, clips=12, sound_font=sines)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x.txt").write_text("")
    for other in (tmp_path / "full", sines):
        with pytest.raises(TonearmError, match="holds other files; choose another folder"):
            render_corpus("notes", other, clips=12, sound_font=sines)
    (folder / "rendering.json").write_text("[]")
    with pytest.raises(TonearmError, match="is no record of a rendering"):
        render_corpus("notes", folder, clips=12, sound_font=sines)


def test_a_sound_font_without_these_notes_is_refused(
    sines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.datasets.rendering.conftest.LOWEST_KEY", 128)
    with pytest.raises(TonearmError, match="all 5 clips are silent; check the sound font"):
        render_corpus("notes", tmp_path / "notes", clips=5, sound_font=sines)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"recipe": "melodies"}, "no recipe 'melodies'; use one of notes, chords"),
        ({"clips": 0}, "0 clips are not possible; the recipe notes makes 1 to 9936"),
        ({"clips": 9_937}, "makes 1 to 9936"),
        ({"clips": 1.5}, "clips 1.5 is of type float"),
        ({"recipe": "pocket", "clips": None}, "no end; give a number"),
        ({"seed": -1}, "seed -1 is not possible"),
        ({"sound_font": Path("nowhere.sf2")}, "no sound font at nowhere.sf2"),
        ({"folder": ""}, "empty path"),
        ({"progress": 3}, "progress 3 is of type int"),
        (
            {"where": {"key": "C"}},
            "the recipe notes has no column 'key'; its columns are root_note_name, root_note_pitch",
        ),
        (
            {"where": {"octave": "9"}},
            "has '9' as octave; its values are 0, 1, 2, 3, 4, 5, 6, 7, 8$",
        ),
        (
            {"where": {"octave": "0", "midi_note_val": "60"}},
            "no item of the recipe notes has octave=0 and midi_note_val=60; choose other values",
        ),
        ({"where": {"octave": "4"}, "clips": 1105}, "makes 1 to 1104 where octave=4"),
        ({"where": {"octave": 4}}, r"where\['octave'\] 4 is of type int; give a text"),
        ({"where": "octave=4"}, "is of type str; give values by column"),
        ({"recipe": "pocket", "where": {"genre": "jazz"}}, "pocket has no end, so that its clips"),
    ],
)
def test_impossible_arguments_are_refused_before_anything_is_written(
    sines: Path, tmp_path: Path, options: dict, message: str
) -> None:
    arguments = {"recipe": "notes", "folder": tmp_path / "new", "clips": 5, "sound_font": sines}
    with pytest.raises(TonearmError, match=message):
        render_corpus(**{**arguments, **options})
    assert not (tmp_path / "new").exists()


def test_the_record_names_the_options_and_the_silent_clips(sines: Path, tmp_path: Path) -> None:
    rendered = render_corpus("notes", tmp_path / "notes", clips=9, seed=4, sound_font=sines)
    record = json.loads((tmp_path / "notes" / "rendering.json").read_text())
    assert {name: record[name] for name in ("recipe", "clips", "seed")} == {
        "recipe": "notes", "clips": 9, "seed": 4,
    }  # fmt: skip
    assert record["silent"] == list(rendered.silent) and len(rendered.silent) == 1
    assert str(tmp_path) not in (tmp_path / "notes" / "rendering.json").read_text()
