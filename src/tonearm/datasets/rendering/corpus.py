"""Corpora rendered offline into a folder that `read_corpus` reads.

    rendering.json        recipe, selection, number of clips, seed, sound font; then the silent clips
    clips/<stem>.flac     mono, 16 bits
    metadata.csv          file_name, columns of labels, track; written last
    parts/00000.jsonl     rows of a finished group of clips, until all are finished

Clips are rendered in groups by a new synthesizer, since the samples of a clip depend a little on
those before it. So a resumed run makes the same files as one that was never stopped. A stopped run
keeps all finished groups.
"""

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from tonearm import boundary
from tonearm.audio import Clip
from tonearm.datasets.layouts.metadata import FILE_NAME, METADATA, RENDERING, TRACK
from tonearm.datasets.rendering.balanced import balanced_subset
from tonearm.datasets.rendering.catalogue import find_recipe
from tonearm.datasets.rendering.recipe import PlannedClip, Recipe
from tonearm.datasets.rendering.synthesizer import Renderer, find_sound_font, load_fluidsynth
from tonearm.datasets.selection import (
    checked_where,
    is_selected,
    no_column,
    no_item,
    shown_where,
)
from tonearm.errors import TonearmError
from tonearm.files.atomic import atomic_write
from tonearm.files.text_file import parse_json, read_json, read_text
from tonearm.frame_levels import is_sounding
from tonearm.progress import Progress

GROUP = 32  # clips
CLIPS, PARTS, SUFFIX = "clips", "parts", ".flac"
SILENT = "silent"
MAX_CLIPS = 200_000
MAX_SEED = 2**31 - 1
REMEDY = "remove the folder, or choose another one"


@dataclass(frozen=True)
class RenderedCorpus:
    """A rendered corpus.

    Attributes:
        folder: that holds it.
        clips: number of clips.
        columns: names of the labels.
        silent: stems of the clips that were left out, since they are silent.
    """

    folder: Path
    clips: int
    columns: tuple[str, ...]
    silent: tuple[str, ...]


def render_corpus(
    recipe: str,
    folder: Path,
    *,
    clips: int | None = None,
    where: Mapping[str, str] | None = None,
    seed: int = 0,
    sound_font: Path | None = None,
    progress: Progress | None = None,
) -> RenderedCorpus:
    """Render a labelled corpus, or continue one.

    Args:
        recipe: notes, chords, progressions, tempos or pocket.
        folder: absent, empty, or of a run with the same arguments.
        clips: a balanced random subset of this number; default: all clips of the recipe, or all
            that `where` selects. The subset is balanced among the selected clips.
        where: values by column, compared as text; other clips of the recipe are not rendered.
        seed: of the subset, and of all that a recipe draws.
        sound_font: .sf2 or .sf3 file; default: `find_sound_font()`.
        progress: called with (done, total) clips.

    Returns:
        The corpus. Silent clips, such as the lowest notes of some instruments, have no file.

    Raises:
        TonearmError: an argument that is not possible, a folder with other content, FluidSynth or
            the sound font is missing where something is to be rendered, or the disk is full.
    """
    found = find_recipe(boundary.text(recipe, "recipe"))
    folder = Path(boundary.path(folder, "folder"))
    seed = boundary.seed(seed, MAX_SEED)
    where = checked_where({} if where is None else where)
    clips = boundary.optional(boundary.integer, clips, "clips")
    count, planned = _planned(found, clips, seed, where)
    if sound_font is not None:
        sound_font = Path(boundary.path(sound_font, "sound_font"))
    progress = boundary.optional(boundary.function, progress, "progress")
    record: dict[str, Any] = {
        "recipe": found.name,
        "where": where,
        "clips": count,
        "seed": seed,
    }
    is_finished = (folder / RENDERING).is_file() and (folder / METADATA[0]).is_file()
    if is_finished and sound_font is None:
        _claim(folder, record)  # by whatever sound font it was rendered
        return _finished(folder)
    load_fluidsynth()
    font = find_sound_font(sound_font)
    record["sound_font"] = _identity(font)
    _claim(folder, record)
    if not is_finished:
        rows = _render_groups(planned, count, folder, font, found.sample_rate, progress)
        _finish(folder, record, rows)
    return _finished(folder)


def _planned(
    recipe: Recipe, clips: int | None, seed: int, where: Mapping[str, str]
) -> tuple[int, Iterator[PlannedClip]]:
    """Number of clips to render, and the clips."""
    if not where:
        count = _count(recipe, clips, MAX_CLIPS if recipe.size is None else recipe.size)
        return count, recipe.plan(count, seed)
    if recipe.sizes is None or recipe.size is None:
        raise TonearmError(
            f"the recipe {recipe.name} has no end, so that its clips cannot be selected; "
            "render without where, and select clips when the corpus is read"
        )
    grid = list(recipe.plan(recipe.size, seed))
    selected = np.array([is_selected(clip.columns, where) for clip in grid])
    if not selected.any():
        raise _nothing_selected(recipe, grid, where)
    count = _count(recipe, clips, int(selected.sum()), where)
    cells = balanced_subset(recipe.sizes, count, seed, selected.reshape(recipe.sizes))
    return count, (grid[i] for i in np.ravel_multi_index(tuple(cells.T), recipe.sizes))


def _nothing_selected(
    recipe: Recipe, grid: Sequence[PlannedClip], where: Mapping[str, str]
) -> TonearmError:
    """Make the error for values that no clip of a recipe has."""
    source, columns = f"the recipe {recipe.name}", tuple(grid[0].columns)
    for name in where:
        if name not in columns:
            return no_column(source, name, columns)
    return no_item(
        source, where, {name: {str(clip.columns[name]) for clip in grid} for name in where}
    )


def _count(
    recipe: Recipe, clips: int | None, most: int, where: Mapping[str, str] | None = None
) -> int:
    """Number of clips to render, of `most` that are possible."""
    if clips is None and recipe.size is None:
        raise TonearmError(f"the recipe {recipe.name} has no end; give a number of clips (--clips)")
    count = most if clips is None else clips
    if not 1 <= count <= most:
        selection = f" where {shown_where(where)}" if where else ""
        raise TonearmError(
            f"{count} clips are not possible; the recipe {recipe.name} makes 1 to {most}{selection}"
        )
    return count


def _identity(font: Path) -> str:
    """Name and beginning of the sha256 of a sound font."""
    with font.open("rb") as file:
        return f"{font.name} {hashlib.file_digest(file, 'sha256').hexdigest()[:16]}"


def _claim(folder: Path, record: Mapping[str, Any]) -> None:
    """Write the record of a run into its folder, or check that the folder has this record."""
    path = folder / RENDERING
    if path.is_file():
        stored = read_json(path, "record of a rendering", REMEDY)
        if not isinstance(stored, dict):
            raise TonearmError(f"{path} is no record of a rendering; {REMEDY}")
        stored = {"where": {}, **stored}  # a record without a selection may leave it out
        differing = [name for name in record if stored.get(name) != record[name]]
        if differing:
            options = ", ".join(_option(name, stored.get(name)) for name in differing)
            raise TonearmError(
                f"{folder} holds a rendering with {options}; "
                "give the same options to continue it, or choose another folder"
            )
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise TonearmError(f"{folder} holds other files; choose another folder")
    _write_record(path, record)


def _option(name: str, value: Any) -> str:
    """An option of a record as text."""
    if name == "where" and isinstance(value, dict):
        return f"where {shown_where(value)}" if value else "no where"
    return f"{name} {value}"


def _write_record(path: Path, record: Mapping[str, Any]) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _render_groups(
    planned: Iterator[PlannedClip],
    count: int,
    folder: Path,
    font: Path,
    sample_rate: int,
    progress: Progress | None,
) -> list[dict[str, Any]]:
    """Render the groups that are missing, and return the rows of all clips.

    Args:
        planned: the clips.
        count: their number.
        folder: of the corpus.
        font: sound font.
        sample_rate: in Hz.
        progress: called with (done, total) clips.
    """
    rows = []
    for first in range(0, count, GROUP):
        if progress is not None:
            progress(first, count)
        group = list(islice(planned, GROUP))
        part = folder / PARTS / f"{first // GROUP:05d}.jsonl"
        if not part.is_file():
            with Renderer(font, sample_rate, lazy=True) as renderer:
                found = [_render_clip(clip, renderer, folder) for clip in group]
            with atomic_write(part) as temporary:
                lines = (json.dumps(row) + "\n" for row in found)
                temporary.write_text("".join(lines), encoding="utf-8")
        text = read_text(part, "part of a rendering", REMEDY)
        rows += [parse_json(line, str(part), REMEDY) for line in text.splitlines()]
    if progress is not None:
        progress(count, count)
    return rows


def _render_clip(planned: PlannedClip, renderer: Renderer, folder: Path) -> dict[str, Any]:
    """Write the file of a clip, and return its row; a silent clip has no file."""
    clip = Clip(planned.render(renderer), renderer.sample_rate)
    if not is_sounding(clip):
        return {SILENT: planned.stem}
    name = f"{CLIPS}/{planned.stem}{SUFFIX}"
    clip.write(folder / name)
    return {FILE_NAME: name, **planned.columns, TRACK: planned.track}


def _finish(folder: Path, record: Mapping[str, Any], rows: Sequence[dict[str, Any]]) -> None:
    """Write the table, and remove the parts."""
    kept = [row for row in rows if SILENT not in row]
    if not kept:
        raise TonearmError(f"all {len(rows)} clips are silent; check the sound font, and {REMEDY}")
    silent = [row[SILENT] for row in rows if SILENT in row]
    _write_record(folder / RENDERING, {**record, SILENT: silent})
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, kept[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(kept)
    with atomic_write(folder / METADATA[0]) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8", newline="")


def _finished(folder: Path) -> RenderedCorpus:
    """Describe a finished corpus; parts that a killed run has left are removed."""
    for part in (folder / PARTS).glob("*"):
        part.unlink(missing_ok=True)
    if (folder / PARTS).is_dir():
        (folder / PARTS).rmdir()
    record = read_json(folder / RENDERING, "record of a rendering", REMEDY)
    text = read_text(folder / METADATA[0], "table", REMEDY)
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    columns = tuple(name for name in rows[0] if name not in (FILE_NAME, TRACK))
    return RenderedCorpus(folder, len(rows), columns, tuple(record[SILENT]))
