"""tonearm replay: a take's JSON -> the same take, or the differences."""

from pathlib import Path
from typing import Annotated

import typer

from tonearm.cli import _options
from tonearm.cli._screen import out, print_json, progress_bar, quieten
from tonearm.cli._takes import check_audio_outputs, save_take


def replay(
    file: Annotated[Path, typer.Argument(help="The .json beside a take.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Save the take.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="NAME", help="Its checkpoint, if it is not where it was."),
    ] = None,
    continue_from: Annotated[
        Path | None,
        typer.Option(
            "--continue-from", metavar="AUDIO", help="Its audio prompt, if it is not where it was."
        ),
    ] = None,
    melody: Annotated[
        Path | None,
        typer.Option("--melody", metavar="AUDIO", help="Its melody, if it is not where it was."),
    ] = None,
    force: _options.Force = False,
    as_json: _options.Json = False,
) -> None:
    """Reproduce a take from its JSON; exit code 0 if it is identical bit for bit, 1 if not."""
    if output is not None:
        check_audio_outputs([output], force)
    from tonearm.generation.provenance import read_sidecar

    read_sidecar(file)  # reports a mistake before the libraries are loaded
    quieten()
    from tonearm.replaying import replay as replay_take

    with progress_bar("generating") as bar:
        replayed = replay_take(
            file,
            checkpoint=model,
            continue_from=continue_from,
            melody=melody,
            progress=bar.update,
        )
    saved = save_take(replayed.take, output) if output is not None else None
    if as_json:
        written = saved.to_dict() if saved else {}
        print_json(
            {"identical": replayed.identical, "differences": list(replayed.differences), **written}
        )
    else:
        out.print("identical, bit for bit" if replayed.identical else "not identical")
        for difference in replayed.differences:
            out.print(f"  {difference}", soft_wrap=True)
        if not replayed.identical and not replayed.differences:
            out.print(
                "  hardware and packages are the same, so the JSON was changed since the take was made"
            )
        if saved:
            out.print(str(saved), soft_wrap=True)
    if not replayed.identical:
        raise typer.Exit(1)
