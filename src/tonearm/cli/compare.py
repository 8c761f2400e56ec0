"""tonearm compare: one prompt and seed, plain and steered -> a page to listen to."""

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tonearm import defaults
from tonearm.cli import _options
from tonearm.cli._screen import (
    Stopped,
    load_model,
    new_table,
    out,
    print_facts,
    print_json,
    progress_bar,
)
from tonearm.cli._takes import (
    SavedTake,
    check_folder,
    licence_note,
    model_text,
    read_steering,
    sampling_text,
    steering_text,
)
from tonearm.errors import TonearmError
from tonearm.files.atomic_folder import repair_folder

if TYPE_CHECKING:
    from tonearm.steering import Steering


def compare(
    prompt: Annotated[
        str, typer.Argument(help='The music in words, such as "a folk tune with flute".')
    ],
    folder: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="Folder of the page and its takes.")
    ],
    steer: _options.Steers = None,
    steering: _options.SteeringFile = None,
    combine: _options.Combine = None,
    also: Annotated[
        list[str] | None,
        typer.Option(
            "--also",
            metavar="NAME=AMOUNT,...",
            help="One more steered take: tempo=-1,brightness=+0.5. Repeat it.",
        ),
    ] = None,
    seconds: _options.Seconds = 10.0,
    seed: Annotated[
        int | None, typer.Option("--seed", help="The seed of all takes; default: a random one.")
    ] = None,
    guidance: _options.Guidance = None,
    temperature: _options.Temperature = None,
    top_k: _options.TopK = 250,
    top_p: _options.TopP = 1.0,
    model: _options.ModelName = "pocket",
    device: _options.Device = None,
    dtype: _options.DType = None,
    engine: _options.Engine = "decoder",
    beats: _options.Beats = defaults.TRACKER,
    show: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    force: _options.Force = False,
    as_json: _options.Json = False,
) -> None:
    """Generate one prompt and seed plain and steered, and a page that compares the takes."""
    _check_empty(folder, force)
    steerings = _steerings(read_steering(steer, steering, combine), also or (), combine)
    loaded = load_model(model, device, dtype, engine)
    from tonearm.evaluators.load import load_tracker

    tracker = load_tracker(beats)
    from tonearm.comparison import ComparedTake, Comparison, compare_takes

    sampling = loaded.sampling(guidance, temperature, top_k, top_p)
    shared_seed = secrets.randbelow(2**31) if seed is None else seed
    takes: list[ComparedTake] = []
    count = 1 + len(steerings)
    try:
        with progress_bar("generating") as bar:
            made = compare_takes(
                loaded,
                prompt,
                steerings,
                seconds=seconds,
                seed=shared_seed,
                sampling=sampling,
                tracker=tracker,
                progress=bar.update,
            )
            steered = {
                f"steered-{number}": steering_text(loaded, one)
                for number, one in enumerate(steerings, start=1)
            }
            details = {
                "model": model_text(loaded),
                **steered,
                "takes": f"{count} takes of {seconds:g} s, seed {shared_seed} for all, "
                f"{sampling_text(sampling)}",
                "licence": licence_note(loaded),
            }
            if not as_json:
                with bar.hidden():
                    print_facts({"prompt": prompt, **details})
            takes += made
        page = Comparison(prompt, tuple(takes), details).save(folder)
    except KeyboardInterrupt:
        raise Stopped(
            f"stopped with {len(takes)} of {count} takes done; a comparison is written whole, "
            "and nothing was written"
        ) from None
    saved = [
        SavedTake(
            folder / f"{one.name}.wav",
            folder / f"{one.name}.json",
            one.description,
            one.take.provenance.statement,
        )
        for one in takes
    ]
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
    repair_folder(folder)
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise TonearmError(
            f"{folder} is not empty; choose another --out, or write into it with --force"
        )


def _steerings(first: "Steering", also: Sequence[str], combine: str | None) -> list["Steering"]:
    """Each steering that was given."""
    given = [
        one for one in (first, *(read_steering([text], None, combine) for text in also)) if one
    ]
    if not given:
        raise TonearmError(
            "there is nothing to compare; give --steer, --steering or --also, "
            "such as --steer tempo=+1"
        )
    return given


def _print_table(saved: Sequence[SavedTake]) -> None:
    """Print the page's numbers, each with its difference from the plain take's."""
    from tonearm.report.comparison_page import COLUMNS, table_cell

    first = saved[0].description
    headings = [f"{column.heading}\n{first[column.measure].unit}" for column in COLUMNS]
    table = new_table("take", *headings, numbers=headings)
    for one in saved:
        cells = [table_cell(column, one.description, first) for column in COLUMNS]
        steering = "" if one is saved[0] else f"\n{one.statement}"
        values = (f"{cell.value}\n{cell.difference}".strip() for cell in cells)
        table.add_row(f"{one.audio.stem}{steering}", *values)
    out.print(table)
    for one in saved:
        for fault in one.description.faults:
            out.print(f"faulty: {one.audio.name}: {fault}", style="bold")
