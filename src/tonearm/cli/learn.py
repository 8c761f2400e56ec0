"""tonearm learn: two prompt files -> a steering vector."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tonearm.cli import _options
from tonearm.cli._help import METHODS
from tonearm.cli._screen import load_model, out, print_facts, print_json, progress_bar
from tonearm.cli._takes import check_outputs, licence_note, model_text
from tonearm.errors import TonearmError
from tonearm.text import check_path, is_blank, quoted

if TYPE_CHECKING:
    from tonearm.steering import SteeringVector

RESERVED_IN_NAMES = "=,@/\\"  # they have a meaning in --steer and in paths
BAR_CELLS = 40
EXAMPLE_PROMPT = "a folk tune with flute"
POCKET = "pocket"
POCKET_STRENGTH, STRENGTH = 0.05, 1.0  # a start; `tonearm calibrate` finds the strength


def learn(
    name: Annotated[str, typer.Argument(help="Name of the vector, such as energy.")],
    positive: Annotated[
        Path,
        typer.Option(
            "--positive", metavar="FILE", help="Prompts with the attribute, one per line."
        ),
    ],
    negative: Annotated[
        Path,
        typer.Option(
            "--negative", metavar="FILE", help="Prompts without it, or with its opposite."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Default: NAME.safetensors."),
    ] = None,
    method: Annotated[
        str,
        typer.Option("--method", help=f"Method that fits the directions: {METHODS}."),
    ] = "diffmean",
    site: Annotated[
        str, typer.Option("--site", help="residual, attention, cross_attention or heads.")
    ] = "residual",
    pooling: Annotated[
        str | None,
        typer.Option(
            "--pooling",
            help="eos, first, last, mean or frames; default: eos where the checkpoint has it, else mean.",
        ),
    ] = None,
    positive_label: Annotated[
        str, typer.Option("--positive-label", metavar="WORD", help="Meaning of +.")
    ] = "more",
    negative_label: Annotated[
        str, typer.Option("--negative-label", metavar="WORD", help="Meaning of -.")
    ] = "less",
    seconds: Annotated[
        float,
        typer.Option("--seconds", help="Music per prompt (poolings last, mean and frames only)."),
    ] = 2.0,
    seed: Annotated[int, typer.Option("--seed", help="Seed of that music.")] = 0,
    model: _options.ModelName = "pocket",
    device: _options.Device = None,
    dtype: _options.DType = None,
    engine: _options.Engine = "decoder",
    batch_size: Annotated[int, typer.Option("--batch-size", help="Prompts per batch.")] = 16,
    force: _options.Force = False,
    as_json: _options.Json = False,
) -> None:
    """Learn a vector from two text files, one prompt per line, that differ in one attribute."""
    check_name(name)
    from tonearm.steering.vector_file import vector_file

    path = vector_file(output or name)
    check_outputs([path], force)
    from tonearm.datasets.prompts import read_prompts

    above, below = read_prompts(positive), read_prompts(negative)
    loaded = load_model(model, device, dtype, engine)
    from tonearm.methods.base import statistics_text
    from tonearm.methods.learn import learn as learn_vector
    from tonearm.steering import save_vector

    with progress_bar("capturing activations") as bar:
        vector = learn_vector(
            loaded,
            above,
            below,
            name,
            method=method,
            site=site,  # type: ignore[arg-type]
            pooling=pooling,
            positive_label=positive_label,
            negative_label=negative_label,
            batch_size=batch_size,
            seconds=seconds,
            seed=seed,
            progress=bar.update,
        )
    save_vector(vector, path)
    if as_json:
        info = vector.info.model_dump(mode="json")
        print_json({"file": str(path), "content_hash": vector.content_hash(), **info})
        return
    print_facts(
        {
            "model": model_text(loaded),
            "prompts": f"{len(above)} positive, {len(below)} negative",
            "method": f"{vector.info.method}, {vector.info.pooling} at {vector.info.site}",
            "best layer": statistics_text(vector.info.statistics),
            "licence": licence_note(loaded),
        }
    )
    _print_scores(vector)
    strength = POCKET_STRENGTH if loaded.shape.name == POCKET else STRENGTH
    out.print(f"wrote {path}; {_use(path, strength, model)}", soft_wrap=True)


def check_name(name: str) -> None:
    """Refuse names that have another meaning in --steer, in paths or on a terminal."""
    reserved = [symbol for symbol in RESERVED_IN_NAMES if symbol in name]
    if reserved or is_blank(name) or not name.isprintable():
        fault = f"holds {reserved[0]!r}" if reserved else "is blank or holds control characters"
        raise TonearmError(
            f"the name {quoted(name)} {fault}; use letters, digits, - and _ (-o names the file)"
        )
    check_path(f"{name}.safetensors", "the name")


def _use(path: Path, strength: float, model: str) -> str:
    """A command for the shell that generates with the new vector, by its file."""
    from tonearm.steering import as_steering

    steer = f"{path}=raw:{strength:+g}"
    try:
        steers = as_steering(steer)[0].steers
    except TonearmError:
        steers = ()
    if [one.vector for one in steers] != [str(path)]:
        return "rename the file without spaces at its ends, = or , to use it with --steer"
    chosen = [] if model == POCKET else ["--model", model]
    command = shlex.join(["tonearm", "generate", EXAMPLE_PROMPT, "--steer", steer, *chosen])
    return f"use it:\n  {command}"


def _print_scores(vector: "SteeringVector") -> None:
    """Print a bar per layer for the method's first score."""
    if not vector.info.scores:
        return
    name, scores = next(iter(vector.info.scores.items()))
    longest = max(scores.values()) or 1.0
    out.print(f"layer  {name.replace('_', ' ')}", style="bold")
    for layer, score in scores.items():
        cells = "█" * round(BAR_CELLS * max(0.0, score) / longest)
        best = "  best" if layer == vector.info.best_layer else ""
        out.print(
            f"{layer:5}  {cells:{BAR_CELLS}} {score:8.2f}{best}", style="green" if best else None
        )
