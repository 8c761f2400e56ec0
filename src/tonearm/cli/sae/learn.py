"""tonearm sae learn: two sets of prompts or audio -> a steering vector of selected features."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tonearm.cli import _options
from tonearm.cli._screen import Stopped, load_model, progress_bar
from tonearm.cli._takes import check_outputs, licence_note, model_text
from tonearm.cli.learn import check_name
from tonearm.cli.sae import _clips
from tonearm.cli.sae._vectors import print_vector
from tonearm.errors import TonearmError

if TYPE_CHECKING:
    from tonearm.activations.clips import Clips
    from tonearm.model import Model


def learn(
    name: Annotated[str, typer.Argument(help="Name of the vector, such as energy.")],
    autoencoder: Annotated[
        Path, typer.Option("--sae", metavar="FILE", help="An autoencoder, by tonearm sae train.")
    ],
    positive: Annotated[
        Path,
        typer.Option("--positive", metavar="PATH", help="A file of prompts, or a folder of audio."),
    ],
    negative: Annotated[
        Path,
        typer.Option("--negative", metavar="PATH", help="The same without the attribute."),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Default: NAME.safetensors."),
    ] = None,
    rule: Annotated[
        str,
        typer.Option("--rule", metavar="RULE", help="Of the selection: tada, difference or cohen."),
    ] = "tada",
    count: Annotated[
        int, typer.Option("--count", metavar="N", help="Features of each side, at most.")
    ] = 20,
    positive_label: Annotated[
        str, typer.Option("--positive-label", metavar="WORD", help="Meaning of +.")
    ] = "more",
    negative_label: Annotated[
        str, typer.Option("--negative-label", metavar="WORD", help="Meaning of -.")
    ] = "less",
    seconds: _clips.Seconds = None,
    store: _clips.Store = None,
    seed: _clips.Seed = 0,
    model: _options.ModelName = "pocket",
    device: _options.Device = None,
    dtype: _options.DType = None,
    force: _options.Force = False,
    as_json: _options.Json = False,
) -> None:
    """Learn a vector that adds the features of one set and subtracts those of the other."""
    check_name(name)
    if positive.is_dir() != negative.is_dir():
        raise TonearmError(
            f"{positive} and {negative} are of different kinds; give two files of prompts, or two "
            "folders of audio"
        )
    from tonearm.features.contrast import check_selection, contrast_features
    from tonearm.features.trained import load_autoencoder
    from tonearm.steering import save_vector
    from tonearm.steering.vector_file import vector_file

    path = vector_file(output or name)
    check_outputs([path], force)
    trained = load_autoencoder(autoencoder)
    check_selection(trained, rule, count)
    loaded = load_model(model, device, dtype)
    trained.check_model(loaded.shape)

    try:
        with _clips.folder_of(store) as place:
            above, below = _sides(loaded, positive, negative, place, seconds, seed)
            with progress_bar("reading features") as bar:
                found = contrast_features(
                    loaded,
                    trained,
                    above,
                    below,
                    name,
                    rule=rule,
                    count=count,
                    positive_label=positive_label,
                    negative_label=negative_label,
                    progress=bar.update,
                )
    except KeyboardInterrupt:
        if store is None:
            raise
        raise Stopped(f"stopped; {store} is kept, and the same command continues") from None
    save_vector(found.vector, path)
    facts = {"model": model_text(loaded), "licence": licence_note(loaded)}
    sides = {"positive": found.positive, "negative": found.negative}
    print_vector(found.vector, path, as_json, facts, sides)


def _sides(
    model: "Model", positive: Path, negative: Path, folder: Path, seconds: float | None, seed: int
) -> "list[Clips]":
    """Clips of both sets, of prompts or of audio."""
    places = folder / "positive", folder / "negative"
    if positive.is_dir():
        from tonearm.datasets.recordings import recordings_in

        return [
            _clips.segments_of(model, recordings, place, seconds)
            for recordings, place in zip(recordings_in([positive, negative]), places, strict=True)
        ]
    from tonearm.datasets.prompts import read_prompts

    prompts = read_prompts(positive), read_prompts(negative)
    return [
        _clips.takes_of(model, side, place, None, seconds, seed)
        for side, place in zip(prompts, places, strict=True)
    ]
