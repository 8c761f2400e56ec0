"""tonearm sae train: prompts or audio -> an autoencoder for each layer."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tonearm.cli import _options
from tonearm.cli._autoencoder import data_text, described, fidelity_cells
from tonearm.cli._screen import (
    Stopped,
    load_model,
    new_table,
    out,
    print_facts,
    print_json,
    progress_bar,
)
from tonearm.cli._takes import check_outputs, licence_note, model_text
from tonearm.cli.sae import _clips

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tonearm.features.trained import TrainedAutoencoder
    from tonearm.model import Model

CLIPS = "clips"  # folder in that of the training
MATRYOSHKA = (0.125, 0.25, 0.5, 1.0)


def train(
    folder: Annotated[
        Path, typer.Argument(help="Receives SITE-LAYER.safetensors; keeps an unfinished training.")
    ],
    layer: Annotated[
        list[int],
        typer.Option("--layer", metavar="N", help="0-based; repeat it for more, in one pass."),
    ],
    prompts: _clips.Prompts = None,
    audio: _clips.Audio = None,
    takes: _clips.Takes = None,
    seconds: _clips.Seconds = None,
    site: Annotated[
        str,
        typer.Option(
            "--site", metavar="SITE", help="residual, attention, cross_attention or heads."
        ),
    ] = "residual",
    expansion: Annotated[
        int, typer.Option("--expansion", metavar="N", help="Features per dimension of the model.")
    ] = 8,
    k: Annotated[
        int, typer.Option("--k", metavar="N", help="Active features per frame, on average.")
    ] = 32,
    rows: Annotated[
        int,
        typer.Option(
            "--rows", metavar="N", help="Frames to train on; they repeat where there are fewer."
        ),
    ] = 1_000_000,
    batch_rows: Annotated[
        int, typer.Option("--batch-rows", metavar="N", help="Frames of a step.")
    ] = 2048,
    base_rate: Annotated[
        float,
        typer.Option(
            "--base-rate",
            metavar="RATE",
            help="Learning rate at 16,384 features; it falls with their root.",
        ),
    ] = 2e-4,
    matryoshka: Annotated[
        bool,
        typer.Option(
            "--matryoshka",
            help="The first 1/8, 1/4 and 1/2 of the features reconstruct by themselves, too.",
        ),
    ] = False,
    half: Annotated[
        bool, typer.Option("--half", help="Write float16, half as large as float32.")
    ] = False,
    seed: _clips.Seed = 0,
    model: _options.ModelName = "pocket",
    device: _options.Device = None,
    dtype: _options.DType = None,
    force: _options.Force = False,
    as_json: _options.Json = False,
) -> None:
    """Train an autoencoder for each layer; after a stop the same command continues."""
    data = _clips.ClipOptions(prompts, audio, takes, seconds, seed).check()
    paths = {one: folder / f"{site}-{one}.safetensors" for one in sorted(set(layer))}
    check_outputs(list(paths.values()), force)
    from tonearm.features.settings import TrainingSettings

    settings = TrainingSettings(
        expansion=expansion,
        k=k,
        rows=rows,
        batch_rows=batch_rows,
        base_rate=base_rate,
        prefixes=MATRYOSHKA if matryoshka else (1.0,),
        seed=seed,
    )
    loaded = load_model(model, device, dtype)
    from tonearm.features.train import check_training, train_autoencoders
    from tonearm.features.trained import load_autoencoder, save_autoencoder
    from tonearm.features.training_state import remove_state

    check_training(loaded, site, layer, settings, has_texts=not audio)
    try:
        clips = data.collect(loaded, folder / CLIPS)
        with progress_bar("training") as bar:
            found = train_autoencoders(
                loaded,
                clips,
                layer,
                folder,
                site=site,  # type: ignore[arg-type]  # checked
                settings=settings,
                progress=bar.update,
            )
    except KeyboardInterrupt:
        raise Stopped(f"stopped; {folder} is kept, and the same command continues") from None
    written = {
        one: load_autoencoder(
            save_autoencoder(trained, paths[one], "float16" if half else "float32")
        )
        for one, trained in found.items()
    }
    remove_state(folder)
    _print(loaded, written, paths, as_json)


def _print(
    model: "Model",
    found: "Mapping[int, TrainedAutoencoder]",
    paths: "Mapping[int, Path]",
    as_json: bool,
) -> None:
    if as_json:
        files = [
            {"file": str(paths[layer]), **described(trained)} for layer, trained in found.items()
        ]
        print_json({"autoencoders": files})
        return
    infos = {layer: trained.info for layer, trained in found.items()}
    first = next(iter(infos.values()))
    print_facts(
        {
            "model": model_text(model),
            "data": data_text(first),
            "features": f"{first.features}, {first.settings.k} active per frame",
            "licence": licence_note(model),
        }
    )
    headings = tuple(fidelity_cells(first.fidelity))
    table = new_table("layer", *headings, "file", numbers=("layer", *headings))
    for layer, info in infos.items():
        table.add_row(str(layer), *fidelity_cells(info.fidelity).values(), str(paths[layer]))
    out.print(table)
