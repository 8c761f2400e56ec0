"""tonearm learn: two prompt files -> a steering vector."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tonearm.cli import _options
from tonearm.cli._screen import load_model, out, print_facts, print_json, progress_bar
from tonearm.cli._takes import check_outputs, licence_note, model_text
from tonearm.errors import TonearmError

if TYPE_CHECKING:
    from tonearm.steering import SteeringVector

UNUSABLE_IN_NAMES = "=,@/\\"  # they mean something in --steer and in paths
BAR_CELLS = 40


def learn(
    name: Annotated[str, typer.Argument(help="What to call the vector, such as energy.")],
    positive: Annotated[Path, typer.Option(metavar="FILE", help="Prompts that have the attribute, one a line.")],
    negative: Annotated[Path, typer.Option(metavar="FILE", help="Prompts that lack it, or have its contrary.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Left out, NAME.safetensors.")
    ] = None,
    site: Annotated[str, typer.Option(help="residual, attention, cross_attention or heads.")] = "residual",
    pooling: Annotated[
        str | None, typer.Option(help="eos, first, last or mean; left out, eos where the model has it, else mean.")
    ] = None,
    positive_label: Annotated[str, typer.Option(metavar="WORD", help="What + means.")] = "more",
    negative_label: Annotated[str, typer.Option(metavar="WORD", help="What - means.")] = "less",
    seconds: Annotated[float, typer.Option(help="Music per prompt (last and mean only).")] = 2.0,
    seed: Annotated[int, typer.Option(help="Seed of that music.")] = 0,
    model: _options.ModelName = "pocket",
    device: _options.Device = None,
    dtype: _options.DType = None,
    engine: _options.Engine = "decoder",
    batch_size: Annotated[int, typer.Option(help="Prompts read at a time.")] = 16,
    force: _options.Force = False,
    as_json: _options.Json = False,
) -> None:
    """Learn a new vector from two text files, one prompt a line, that differ in one attribute."""
    unusable = [symbol for symbol in UNUSABLE_IN_NAMES if symbol in name]
    if unusable:
        raise TonearmError(
            f"the name {name!r} holds {unusable[0]!r}; use letters, digits, - and _ (-o says where it goes)"
        )
    path = _path(output or Path(name))
    check_outputs([path], force)
    from tonearm.datasets.prompts import read_prompts

    above, below = read_prompts(positive), read_prompts(negative)
    loaded = load_model(model, device, dtype, engine)
    from tonearm.methods.learn import learn as learn_vector
    from tonearm.steering import save_vector

    with progress_bar("reading prompts") as bar:
        vector = learn_vector(
            loaded, above, below, name, site=site, pooling=pooling, positive_label=positive_label,  # type: ignore[arg-type]
            negative_label=negative_label, batch_size=batch_size, seconds=seconds, seed=seed, on_prompt=bar.update,
        )  # fmt: skip
    save_vector(vector, path)
    if as_json:
        print_json({"file": str(path), "content_hash": vector.content_hash(), **vector.info.model_dump(mode="json")})
        return
    print_facts(
        {
            "model": model_text(loaded),
            "prompts": f"{len(above)} positive, {len(below)} negative",
            "pooling": f"{vector.info.pooling}, at {vector.info.site}",
            "licence": licence_note(loaded),
        }
    )
    _print_separation(vector)
    given = name if path == Path(f"{name}.safetensors") else path
    chosen = "" if model == "pocket" else f" --model {model}"
    out.print(
        f'wrote {path}; use it:\n  tonearm generate "a folk tune with flute" --steer {given}=+1{chosen}', soft_wrap=True
    )


def _path(given: Path) -> Path:
    return given if given.suffix == ".safetensors" else given.with_name(f"{given.name}.safetensors")


def _print_separation(vector: "SteeringVector") -> None:
    """How far apart the two sets lie in each layer, in units of the spread within them."""
    scores = vector.info.scores["separation"]
    longest = max(scores.values()) or 1.0
    out.print("layer  separation of the two sets (distance / spread)", style="bold")
    for layer, score in scores.items():
        cells = "█" * round(BAR_CELLS * score / longest)
        best = "  best" if layer == vector.info.best_layer else ""
        out.print(f"{layer:5}  {cells:{BAR_CELLS}} {score:8.2f}{best}", style="green" if best else None)
