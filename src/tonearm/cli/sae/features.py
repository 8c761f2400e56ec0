"""tonearm sae features: features of an autoencoder with their names."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tonearm import defaults
from tonearm.cli import _options
from tonearm.cli._measuring import Clap, load_cached_clap
from tonearm.cli._screen import (
    Stopped,
    load_model,
    new_table,
    out,
    print_facts,
    print_json,
    progress_bar,
)
from tonearm.cli._takes import check_outputs
from tonearm.cli.sae import _clips

if TYPE_CHECKING:
    from tonearm.features.naming import Naming

CLIPS = "clips"  # folder in the store
SHOWN = 30  # named features


def features(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="An autoencoder, by tonearm sae train.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Receives the names, as JSON.")
    ],
    prompts: _clips.Prompts = None,
    audio: _clips.Audio = None,
    takes: _clips.Takes = None,
    seconds: _clips.Seconds = None,
    store: _clips.Store = None,
    texts: Annotated[
        str | None,
        typer.Option(
            "--texts",
            metavar="A,B,...",
            help="Texts whose CLAP score may name a feature; default: genres, instruments, moods.",
        ),
    ] = None,
    clap: Clap = defaults.CLAP,
    seed: _clips.Seed = 0,
    model: _options.ModelName = "pocket",
    device: _options.Device = None,
    dtype: _options.DType = None,
    force: _options.Force = False,
    as_json: _options.Json = False,
) -> None:
    """Name features by the measures, tags and texts that they agree with; scored on others."""
    data = _clips.ClipOptions(prompts, audio, takes, seconds, seed).check()
    check_outputs([output], force)
    from tonearm.features.trained import load_autoencoder

    trained = load_autoencoder(file)
    loaded = load_model(model, device, dtype)
    trained.check_model(loaded.shape)
    evaluator = load_cached_clap(clap, "cpu")
    from tonearm.evaluators.load import load_tagger
    from tonearm.features.labels import TEXTS, Labeller, label_clips
    from tonearm.features.naming import check_tracks, name_features, save_naming
    from tonearm.features.tracks import track_activity

    chosen = TEXTS if texts is None else tuple(one.strip() for one in texts.split(","))
    labeller = Labeller(load_tagger(), evaluator, chosen).check()
    try:
        with _clips.folder_of(store) as place:
            clips = data.collect(loaded, place / CLIPS)
            check_tracks(clips.tracks)
            with progress_bar("measuring") as bar:
                labels = label_clips(loaded, clips, labeller, place, bar.update)
            with progress_bar("reading features") as bar:
                activity = track_activity(loaded, trained, clips, bar.update)
    except KeyboardInterrupt:
        if store is None:
            raise
        raise Stopped(f"stopped; {store} is kept, and the same command continues") from None
    naming = name_features(trained, activity, labels, seed)
    save_naming(naming, output)
    if as_json:
        print_json({"file": str(output), **naming.model_dump(mode="json")})
    else:
        _print(naming, output)


def _print(naming: "Naming", path: Path) -> None:
    named, confirmed = naming.named, [one for one in naming.named if one.is_confirmed]
    print_facts(
        {
            "tracks": f"{naming.tracks}, of which {naming.naming_tracks} chose the names",
            "features": f"{naming.features}, {len(naming.names)} on 1 to 25 % of the tracks",
            "named": f"{len(named)}, of which {len(confirmed)} hold on the other tracks",
        }
    )
    headings = ("feature", "rho", "held out", "tracks", "frames")
    table = new_table("feature", "name", *headings[1:], numbers=headings)
    for one in named[:SHOWN]:
        table.add_row(
            str(one.feature),
            one.label,
            f"{one.rho:+.2f}",
            "–" if one.held_out is None else f"{one.held_out:+.2f}",
            f"{100 * one.tracks:.0f} %",
            f"{100 * one.frames:.2f} %",
        )
    if named:
        out.print(table)
    more = f" (the {SHOWN} strongest are shown)" if len(named) > SHOWN else ""
    out.print(f"wrote {path}{more}", soft_wrap=True)
