"""tonearm compare: one prompt and seed, plain and steered -> a page to listen to."""

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tonearm.cli import _options
from tonearm.cli._screen import load_model, new_table, out, print_facts, print_json, progress_bar
from tonearm.cli._takes import (
    SavedTake,
    check_folder,
    licence_note,
    model_text,
    read_steering,
    sampling_text,
    save_take,
    steering_text,
    stopped,
)
from tonearm.errors import TonearmError

if TYPE_CHECKING:
    from tonearm.steering import Steering

LISTEN = "listen"


def compare(
    prompt: Annotated[str, typer.Argument(help='The music in words, such as "a folk tune with flute".')],
    folder: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where the page and its takes go.")],
    steer: _options.Steers = None,
    steering: _options.SteeringFile = None,
    also: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=STRENGTH,...", help="One more steered take: tempo=-1.25,brightness=+1. Repeat it."),
    ] = None,
    seconds: _options.Seconds = 10.0,
    seed: Annotated[int | None, typer.Option(help="The seed of all takes; left out, a random one.")] = None,
    guidance: _options.Guidance = None,
    temperature: _options.Temperature = None,
    top_k: _options.TopK = 250,
    top_p: _options.TopP = 1.0,
    model: _options.ModelName = "pocket",
    device: _options.Device = None,
    dtype: _options.DType = None,
    engine: _options.Engine = "decoder",
    show: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    force: _options.Force = False,
    as_json: _options.Json = False,
) -> None:
    """Make one prompt and seed plain and steered, and a page on which to hear and see the difference."""
    _check_empty(folder, force)
    steerings = _steerings(read_steering(steer, steering), also or ())
    loaded = load_model(model, device, dtype, engine)
    from tonearm.generation.request import TakeRequest

    sampling = loaded.sampling(guidance, temperature, top_k, top_p)
    shared_seed = secrets.randbelow(2**31) if seed is None else seed
    rows = [TakeRequest(prompt, shared_seed, one, sampling, seconds=seconds) for one in steerings]
    names = ["plain", *(f"steered-{number}" for number in range(1, len(rows)))]
    saved: list[SavedTake] = []
    try:
        with progress_bar("generating") as bar:
            made = loaded.takes(rows, batch_size=len(rows), on_progress=bar.update)
            details = {"model": model_text(loaded)}
            details |= {name: steering_text(loaded, one) for name, one in zip(names[1:], steerings[1:], strict=True)}
            details |= {
                "makes": f"{len(rows)} takes of {seconds:g} s, seed {shared_seed} for all, {sampling_text(sampling)}",
                "licence": licence_note(loaded),
            }
            if not as_json:
                with bar.aside():
                    print_facts({"prompt": prompt, **details})
            for take, name in zip(made, names, strict=True):
                saved.append(save_take(take, folder / f"{name}.wav"))
    except KeyboardInterrupt:
        raise stopped(saved, len(rows)) from None
    _write_listening_copies(folder / LISTEN, saved)
    page = _write_page(folder, prompt, saved, {name: text for name, text in details.items() if text})
    if as_json:
        print_json({"page": str(page), "takes": [one.to_dict() for one in saved]})
    else:
        _print_table(saved)
        out.print(f"open {page}", soft_wrap=True)
    if show:
        import webbrowser

        webbrowser.open(page.absolute().as_uri())


def _check_empty(folder: Path, force: bool) -> None:
    check_folder(folder)
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise TonearmError(f"{folder} is not empty; choose another --out, or write into it with --force")


def _steerings(first: "Steering", also: Sequence[str]) -> list["Steering"]:
    """Plain, then each that was asked for."""
    from tonearm.steering import Steering, as_steering

    steered = [one for one in (first, *(as_steering(text)[0] for text in also)) if one]
    if not steered:
        raise TonearmError(
            "there is nothing to compare; give --steer, --steering or --also, such as --steer tempo=+1.25"
        )
    return [Steering(), *steered]


def _write_listening_copies(folder: Path, saved: Sequence[SavedTake]) -> None:
    """Copies at the loudness that the page plays at: the louder of two takes sounds better, whatever else differs."""
    from tonearm.report.comparison_page import PEAK, USUAL_LUFS, common_loudness

    clips = [one.take.clip for one in saved]
    loudness = common_loudness(clips)
    for one, clip in zip(saved, clips, strict=True):
        clip.loudness_matched(USUAL_LUFS if loudness is None else loudness, PEAK).write(folder / one.audio.name)


def _write_page(folder: Path, prompt: str, saved: Sequence[SavedTake], details: dict[str, str]) -> Path:
    from tonearm.report.comparison_page import Exhibit, write_compare_page

    exhibits = [
        Exhibit(str(one.take.provenance.steering), one.take.clip, one.description, one.audio.name, one.sidecar.name)
        for one in saved
    ]
    return write_compare_page(folder, prompt, exhibits, details)


def _print_table(saved: Sequence[SavedTake]) -> None:
    """The page's own numbers, each with its difference from the plain take's."""
    from tonearm.report.comparison_page import COLUMNS, table_cell

    first = saved[0].description
    headings = [f"{column.heading}\n{column.read(first).unit}" for column in COLUMNS]
    table = new_table("take", *headings, numbers=headings)
    for one in saved:
        cells = [table_cell(column, one.description, first) for column in COLUMNS]
        title = f"{one.audio.stem}\n{one.take.provenance.steering}" if one is not saved[0] else one.audio.stem
        table.add_row(title, *(f"{cell.value}\n{cell.difference}".strip() for cell in cells))
    out.print(table)
    for one in saved:
        for fault in one.description.faults:
            out.print(f"fault in {one.audio.name}: {fault}")
