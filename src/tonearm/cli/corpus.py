"""tonearm corpus: render a labelled corpus offline, or show that of a folder."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tonearm.cli import _options
from tonearm.cli._corpora import Label, Layout, Where, parse_where, print_skipped
from tonearm.cli._screen import Stopped, new_table, out, print_facts, print_json, progress_bar
from tonearm.errors import TonearmError
from tonearm.text import quoted

if TYPE_CHECKING:
    from tonearm.datasets.labelled_audio import Corpus
    from tonearm.datasets.rendering.corpus import RenderedCorpus

RENDER, SHOW = "render", "show"


def corpus(
    action: Annotated[
        str, typer.Argument(metavar="ACTION", help="render makes a corpus, show lists its labels.")
    ],
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="[RECIPE|FOLDER]",
            help="For render: notes, chords, progressions, tempos or pocket.",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="Folder of the new corpus.")
    ] = None,
    clips: Annotated[
        int | None,
        typer.Option("--clips", metavar="N", help="A balanced random subset; default: all clips."),
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", help="Seed of the subset and the pieces.")
    ] = 0,
    sound_font: Annotated[
        Path | None,
        typer.Option("--sound-font", metavar="FILE", help="A .sf2 or .sf3 file; default: FluidR3."),
    ] = None,
    label: Label = None,
    where: Where = None,
    layout: Layout = None,
    as_json: _options.Json = False,
) -> None:
    """Render a labelled corpus with FluidSynth, or show the labels of one."""
    of_show = {"--label": label, "--layout": layout}
    of_render = {
        "--out": output,
        "--clips": clips,
        "--seed": seed or None,
        "--sound-font": sound_font,
    }
    if action == RENDER:
        _refuse(RENDER, of_show)
        _render(what, output, clips, parse_where(where), seed, sound_font, as_json)
    elif action == SHOW:
        _refuse(SHOW, of_render)
        _show(what, label, parse_where(where), layout, as_json)
    else:
        raise TonearmError(f"no action {quoted(action)}; use {RENDER} or {SHOW}")


def _refuse(action: str, options: Mapping[str, object]) -> None:
    """Raise TonearmError for an option that belongs to the other action."""
    for option, value in options.items():
        if value is not None:
            raise TonearmError(f"corpus {action} takes no {option}; leave it out")


def _render(
    recipe: str | None,
    output: Path | None,
    clips: int | None,
    where: dict[str, str],
    seed: int,
    sound_font: Path | None,
    as_json: bool,
) -> None:
    from tonearm.datasets.rendering.catalogue import RECIPES
    from tonearm.datasets.rendering.corpus import render_corpus

    if recipe is None:
        listed = "; ".join(f"{one.name} ({one.summary})" for one in RECIPES.values())
        raise TonearmError(f"corpus render needs a recipe: {listed}")
    if output is None:
        raise TonearmError("corpus render needs --out FOLDER for the clips and their table")
    try:
        with progress_bar("rendering") as bar:
            rendered = render_corpus(
                recipe,
                output,
                clips=clips,
                where=where,
                seed=seed,
                sound_font=sound_font,
                progress=bar.update,
            )
    except KeyboardInterrupt:
        raise Stopped(f"stopped; the same command continues the rendering of {output}") from None
    _print_rendered(rendered, as_json)


def _print_rendered(rendered: "RenderedCorpus", as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "folder": str(rendered.folder),
                "clips": rendered.clips,
                "columns": list(rendered.columns),
                "silent": list(rendered.silent),
            }
        )
        return
    silent = f", {len(rendered.silent)} silent ones left out" if rendered.silent else ""
    print_facts(
        {
            "corpus": str(rendered.folder),
            "clips": f"{rendered.clips}{silent}",
            "labels": ", ".join(rendered.columns),
        }
    )


def _show(
    folder: str | None,
    label: str | None,
    where: dict[str, str],
    layout: str | None,
    as_json: bool,
) -> None:
    from tonearm.datasets.labelled_audio import read_corpus

    if folder is None:
        raise TonearmError("corpus show needs the folder of a corpus")
    found = read_corpus([Path(folder)], label=label, where=where, layout=layout)
    print_skipped(found.skipped)
    files = Counter(file.label for file in found)
    tracks = _tracks(found)
    if as_json:
        print_json(
            {
                "folder": folder,
                "layout": found.layout.name,
                "files": len(found),
                "labels": {
                    name: {"files": files[name], "tracks": tracks[name]} for name in found.labels
                },
                "skipped": [one.to_dict() for one in found.skipped],
            }
        )
        return
    print_facts({"corpus": folder, "layout": found.layout.name, "files": str(len(found))})
    table = new_table("label", "files", "tracks", numbers=("files", "tracks"))
    for name in found.labels:
        table.add_row(name, str(files[name]), str(tracks[name]))
    out.print(table)


def _tracks(corpus: "Corpus") -> dict[str, int]:
    """Number of tracks by label."""
    tracks = defaultdict(set)
    for file in corpus:
        tracks[file.label].add(file.track)
    return {name: len(found) for name, found in tracks.items()}
