"""tonearm learn: prompts or labelled audio -> a steering vector."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tonearm.cli import _audio_options, _corpora, _options
from tonearm.cli._heads import monitor_data, monitor_facts, print_best_heads
from tonearm.cli._help import METHODS
from tonearm.cli._learning import AudioOptions, PromptOptions, data_text, read_data
from tonearm.cli._screen import Stopped, load_model, out, print_facts, print_json, progress_bar
from tonearm.cli._takes import check_outputs, licence_note, model_text
from tonearm.errors import TonearmError
from tonearm.text import check_path, name_fault, quoted

if TYPE_CHECKING:
    from tonearm.steering import SteeringVector

BAR_CELLS = 40
EXAMPLE_PROMPT = "a folk tune with flute"
POCKET = "pocket"
# A start; `tonearm calibrate` finds the strength. That of all-to-all is in units of σ of each head.
POCKET_STRENGTH, STRENGTH = 0.05, 1.0


def learn(
    name: Annotated[str, typer.Argument(help="Name of the vector, such as energy.")],
    positive: Annotated[
        Path | None,
        typer.Option(
            "--positive", metavar="FILE", help="Prompts with the attribute, one per line."
        ),
    ] = None,
    negative: Annotated[
        Path | None,
        typer.Option(
            "--negative",
            metavar="FILE",
            help="Prompts without it, or with its opposite; default: the bundled neutral prompts, "
            "for a concept without an opposite.",
        ),
    ] = None,
    paired: Annotated[
        bool,
        typer.Option(
            "--paired",
            help="Line i of both files describes one scene, and differs in the attribute alone.",
        ),
    ] = False,
    audio: Annotated[
        Path | None,
        typer.Option(
            "--audio",
            metavar="FOLDER",
            help="In place of prompts: a labelled corpus (with --label), or audio with the "
            "attribute (with --against-audio).",
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option("--label", metavar="LABEL", help="Label of the corpus to be learned."),
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(
            "--against",
            metavar="LABEL",
            help="Label to learn it against; repeat it for more. Default: all others.",
        ),
    ] = None,
    against_audio: Annotated[
        Path | None,
        typer.Option(
            "--against-audio", metavar="FOLDER", help="Audio without the attribute, or neutral."
        ),
    ] = None,
    column: _audio_options.Column = None,
    where: _corpora.Where = None,
    layout: _corpora.Layout = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Default: NAME.safetensors."),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            "--method",
            metavar="METHOD",
            help=f"Method that fits the directions: {METHODS}; default: diffmean, or mean-centred "
            "without --negative.",
        ),
    ] = None,
    site: Annotated[
        str | None,
        typer.Option(
            "--site",
            metavar="SITE",
            help="residual (default), attention, cross_attention or heads (default of iti and "
            "smitin).",
        ),
    ] = None,
    pooling: Annotated[
        str | None,
        typer.Option(
            "--pooling",
            metavar="POOLING",
            help="Of prompts: eos, first, last, mean or frames; default: eos where the checkpoint "
            "has it, else mean. Of audio: last (default), first, mean, or at:SECONDS.",
        ),
    ] = None,
    positive_label: Annotated[
        str | None,
        typer.Option(
            "--positive-label", metavar="WORD", help="Meaning of +; default: more, or the label."
        ),
    ] = None,
    negative_label: Annotated[
        str | None,
        typer.Option(
            "--negative-label",
            metavar="WORD",
            help="Meaning of -; default: less, background, or the label.",
        ),
    ] = None,
    segment: _audio_options.Segment = None,
    text: _audio_options.Text = None,
    store: _audio_options.Store = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            "--seconds",
            metavar="SECONDS",
            help="Music per prompt (poolings last, mean and frames of prompts only); default: 2.",
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="N", help="Seed of that music; default: 0.")
    ] = None,
    model: _options.ModelName = "pocket",
    device: _options.Device = None,
    dtype: _options.DType = None,
    engine: _options.Engine = "decoder",
    batch_size: Annotated[
        int | None,
        typer.Option(
            "--batch-size",
            metavar="N",
            help="Prompts or segments per batch; default: up to 16 or 8.",
        ),
    ] = None,
    force: _options.Force = False,
    as_json: _options.Json = False,
) -> None:
    """Learn a vector from prompts that differ in one attribute, from prompts of one concept without
    an opposite, or from labelled audio.
    """
    check_name(name)
    from tonearm.steering.vector_file import vector_file

    path = vector_file(output or name)
    check_outputs([path], force)
    data = read_data(
        PromptOptions(positive, negative, seconds, seed, paired),
        AudioOptions(
            audio,
            label,
            against or (),
            against_audio,
            column,
            where or (),
            layout,
            segment,
            text,
            store,
        ),
    )
    loaded = load_model(model, device, dtype, engine)
    from tonearm.methods.base import statistics_text
    from tonearm.steering import save_vector

    # Those that are not given have defaults that depend on the data.
    chosen = {"method": method, "pooling": pooling, "batch_size": batch_size}
    try:
        with progress_bar("capturing activations") as bar:
            vector = data.learn(
                loaded,
                name=name,
                site=site,
                positive_label=data.labels[0] if positive_label is None else positive_label,
                negative_label=data.labels[1] if negative_label is None else negative_label,
                progress=bar.update,
                **{key: value for key, value in chosen.items() if value is not None},
            )
    except KeyboardInterrupt:
        if store is None:
            raise
        raise Stopped(f"stopped; {store} is kept, and the same command continues") from None
    save_vector(vector, path)
    info = vector.info
    if as_json:
        content = {"file": str(path), "content_hash": vector.content_hash()}
        print_json(content | info.model_dump(mode="json") | {"monitor": monitor_data(vector)})
        return
    print_facts(
        {
            "model": model_text(loaded),
            "prompts" if info.source == "prompts" else "audio": data_text(info),
            "labels": f"+ {info.positive_label}, - {info.negative_label}",
            "method": f"{info.method}, {info.pooling} at {info.site}",
            "best layer": statistics_text(info.statistics),
            **monitor_facts(vector),
            "licence": licence_note(loaded),
        }
    )
    _print_scores(vector)
    print_best_heads(info)
    out.print(f"wrote {path}; {_use(path, vector, model)}", soft_wrap=True)


def check_name(name: str) -> None:
    """Refuse names that have another meaning in --steer, in paths or on a terminal."""
    if fault := name_fault(name):
        raise TonearmError(
            f"the name {quoted(name)} {fault}; use letters, digits, - and _ (-o names the file)"
        )
    check_path(f"{name}.safetensors", "the name")


def _use(path: Path, vector: "SteeringVector", model: str) -> str:
    """A command for the shell that generates with the new vector, by its file."""
    from tonearm.steering import as_steering

    if vector.info.best_layer is None:
        steer = f"{path}=raw:{STRENGTH:+g}@all-to-all"
    else:
        steer = f"{path}=raw:{POCKET_STRENGTH if model == POCKET else STRENGTH:+g}"
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
    """Print a bar per layer for the method's first score, and the others at the best layer."""
    if not vector.info.scores:
        return
    (name, scores), *others = vector.info.scores.items()
    longest = max(scores.values()) or 1.0
    out.print(f"layer  {name.replace('_', ' ')}", style="bold")
    for layer, score in scores.items():
        cells = "█" * round(BAR_CELLS * max(0.0, score) / longest)
        best = "  best" if layer == vector.info.best_layer else ""
        out.print(
            f"{layer:5}  {cells:{BAR_CELLS}} {score:8.2f}{best}", style="green" if best else None
        )
    best_layer = vector.info.best_layer
    if others and best_layer is not None:
        values = [f"{other.replace('_', ' ')} {values[best_layer]:.3g}" for other, values in others]
        out.print(f"at layer {best_layer}: {', '.join(values)}")
