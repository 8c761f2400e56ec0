"""tonearm corpus: rendering and the labels of a corpus."""

import json
import re
from pathlib import Path

import pytest

from tests.datasets.rendering.conftest import sines  # noqa: F401


def test_a_rendered_corpus_is_shown_by_its_labels(run, sines):  # noqa: F811
    options = ("--out", "notes", "--clips", 36, "--sound-font", sines)
    rendered = run("corpus", "render", "notes", *options)
    assert rendered.code == 0 and "32, 4 silent ones left out" in rendered.out
    content = json.loads(run("corpus", "render", "notes", *options, "--json").out)
    assert content["clips"] == 32 and "root_note_name" in content["columns"]
    shown = json.loads(run("corpus", "show", "notes", "--label", "octave", "--json").out)
    assert shown["layout"] == "metadata" and shown["files"] == 32
    assert shown["labels"]["1"] == {"files": 4, "tracks": 4}
    table = run("corpus", "show", "notes", "--label", "root_note_name", "--where", "octave=4")
    assert table.code == 0 and re.search(r"^C#? +1 +1", table.out, re.MULTILINE)


def test_a_selection_of_a_recipe_is_rendered(run, sines):  # noqa: F811
    options = ("--out", "c", "--clips", 6, "--sound-font", sines, "--json")
    selection = ("--where", "root_note_name=C", "--where", "chord_type=major")
    assert json.loads(run("corpus", "render", "chords", *selection, *options).out)["clips"] == 6
    shown = run("corpus", "show", "c", "--label", "inversion", "--where", "chord_type=major")
    assert shown.code == 0 and re.search(r"^64 +2 +2", shown.out, re.MULTILINE)


def test_ctrl_c_keeps_the_finished_clips(run, sines, monkeypatch):  # noqa: F811
    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("tonearm.datasets.rendering.corpus.render_corpus", interrupted)
        outcome = run("corpus", "render", "notes", "--out", "notes", "--sound-font", sines)
    assert outcome.code == 130
    assert "the same command continues the rendering of notes" in outcome.err


def test_left_out_items_are_shown_with_their_number(run, folder):
    (Path(folder) / "data").mkdir()
    table = [",set,track", ",subset,genre_top", "track_id,,"]
    rows = [f"{i},small,{('Folk', 'Rock')[i % 2]}" for i in range(4)]
    (Path(folder) / "data" / "tracks.csv").write_text("\n".join(table + rows))
    for i in (1, 2):
        audio = Path(folder) / "data" / "fma_small" / "000" / f"{i:06d}.mp3"
        audio.parent.mkdir(parents=True, exist_ok=True)
        audio.write_bytes(b"")
    outcome = run("corpus", "show", "data")
    assert outcome.code == 0 and "fma" in outcome.out
    assert "left out 2 no audio file" in outcome.err and outcome.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["play"], "no action 'play'; use render or show"),
        (["render"], "needs a recipe: notes"),
        (["render", "notes"], "needs --out FOLDER"),
        (["render", "melodies", "--out", "x"], "no recipe 'melodies'; use one of notes"),
        (["render", "pocket", "--out", "x"], "no end; give a number of clips"),
        (["render", "notes", "--out", "x", "--clips", "0"], "0 clips are not possible"),
        (["render", "notes", "--out", "x", "--seed", "-1"], "seed -1 is not possible"),
        (["render", "notes", "--out", "x", "--sound-font", "y.sf2"], "no sound font at y.sf2"),
        (["render", "notes", "--out", "x", "--label", "octave"], "render takes no --label"),
        (["render", "notes", "--out", "x", "--where", "octave"], "no COLUMN=VALUE"),
        (["render", "notes", "--out", "x", "--where", "octave=9"], "has '9' as octave"),
        (["show"], "needs the folder"),
        (["show", "nowhere"], "no folder at nowhere"),
        (["show", "nowhere", "--seed", "1"], "show takes no --seed"),
        (["show", "nowhere", "--where", "octave"], "no COLUMN=VALUE"),
    ],
)
def test_mistakes_give_one_line(run, sines, arguments, message):  # noqa: F811
    outcome = run("corpus", *arguments)
    assert outcome.code == 2 and outcome.out == ""
    assert outcome.err.startswith("tonearm: ") and outcome.err.count("\n") == 1
    assert message in outcome.err
