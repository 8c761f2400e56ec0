"""tonearm calibrate: the amounts of a steering vector, and the scales of its levels."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tonearm.cli import _options
from tonearm.cli._calibration import evidence_text, sign_text
from tonearm.cli._screen import (
    Stopped,
    load_model,
    new_table,
    out,
    print_facts,
    print_json,
    progress_bar,
)
from tonearm.cli._takes import check_outputs, model_text
from tonearm.errors import TonearmError

if TYPE_CHECKING:
    from tonearm.steering import Configuration, FrameScales, SteeringVector

ADD = "add"
# of an operator whose paper has others than one-to-all
STRATEGIES: dict[str, tuple[str, ...]] = {"blend": ("one-to-one", "all-to-all")}


def calibrate(
    vector: Annotated[
        str,
        typer.Argument(
            metavar="VECTOR", help="A vector file, pack.safetensors#tempo, or a bundled name."
        ),
    ],
    measure: Annotated[
        str | None,
        typer.Option(
            "--measure",
            metavar="MEASURE",
            help="Measure of the attribute: onset_rate, spectral_centroid, loudness ..., tag:TAG "
            "(by musicnn), or clap:WORDS (by the bundled CLAP). Default: that of the vector's "
            "earlier calibration, or by its name (tempo, brightness, loudness, density, energy, "
            "drums, or a tag of musicnn).",
        ),
    ] = None,
    scales: Annotated[
        bool,
        typer.Option(
            "--scales",
            help="Measure mean and standard deviation of the projection over generated frames: "
            "the unit of the levels of operator set, such as tempo=2@set.",
        ),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Default: the vector's own file, with --force."
        ),
    ] = None,
    prompts: Annotated[
        Path | None,
        typer.Option(
            "--prompts",
            metavar="FILE",
            help="Neutral prompts, one per line; one half chooses, the other half confirms. "
            "Default: the bundled ones.",
        ),
    ] = None,
    seconds: Annotated[float, typer.Option("--seconds", help="Length of each take.")] = 10.0,
    takes: Annotated[
        int, typer.Option("--takes", min=1, max=100, help="Takes of each prompt.")
    ] = 1,
    operator: Annotated[
        str,
        typer.Option(
            "--operator",
            metavar="OPERATOR",
            help="add, rotate, or blend (Panda et al.: α is searched around the activations' own "
            "component along the direction).",
        ),
    ] = ADD,
    strategy: Annotated[
        list[str] | None,
        typer.Option(
            "--strategy",
            metavar="STRATEGY",
            help="one-to-one (the best layer alone), one-to-all or all-to-all; repeat it, and the "
            "one with the most effect is taken. Default: one-to-all; with blend one-to-one and "
            "all-to-all; all-to-all alone for a vector without a best layer (iti, smitin).",
        ),
    ] = None,
    tables: Annotated[
        bool,
        typer.Option(
            "--tables",
            help="Keep the calibrated strengths, and measure again what the vector does there: "
            "response, leakage, drift.",
        ),
    ] = False,
    store: Annotated[
        Path | None,
        typer.Option(
            "--store",
            metavar="FOLDER",
            help="Keep the measured takes here; the same command then continues after a stop.",
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option("--workers", min=0, max=64, help="Processes that measure; 0 for none.")
    ] = 1,
    model: _options.ModelName = "pocket",
    device: _options.Device = None,
    dtype: _options.DType = None,
    force: _options.Force = False,
    as_json: _options.Json = False,
) -> None:
    """Find how far each sign of a vector goes within the damage limits, and its effect there; or
    the scales of its levels (--scales).
    """
    from tonearm.steering.references import split_reference
    from tonearm.steering.vector_file import vector_file

    if output is None and split_reference(vector):
        raise TonearmError(f"{vector} is part of a bundle; name a file for the vector with -o")
    has_amounts = tables or measure is not None or not scales
    of_amounts = {
        "--strategy": strategy,
        "--store": store,
        "--takes": takes > 1,
        "--operator": operator != ADD,
    }
    given = [option for option, value in of_amounts.items() if value]
    if not has_amounts and given:
        raise TonearmError(f"{given[0]} belongs to amounts; give --measure too, or leave it out")
    if tables and (strategy or operator != ADD):
        given_option = "--strategy" if strategy else "--operator"
        raise TonearmError(
            f"--tables keeps the calibrated injection, and {given_option} chooses one; leave one out"
        )
    path = vector_file(output or vector)
    check_outputs([path], force)
    configurations = _configurations(operator, strategy)
    texts = _prompts(prompts)
    loaded = load_model(model, device, dtype)
    from tonearm.activations.frame_scales import measure_frame_scales
    from tonearm.steering import save_vector
    from tonearm.studies.calibration import calibrate as calibrate_vector
    from tonearm.studies.calibration import measure_for, reader, tabulate

    found = loaded.vectors[vector]
    if not strategy and found.info.best_layer is None:
        configurations = _configurations(operator, ["all-to-all"])
    half = len(texts) // 2
    if has_amounts:
        measure = measure_for(found) if measure is None else measure
        reader(measure)  # refuses an unknown one before any take
    try:
        if scales:
            with progress_bar("generating") as bar:
                found = measure_frame_scales(
                    loaded.engine, found, texts, seconds=seconds, progress=bar.update
                )
        if tables:
            with progress_bar("generating and measuring") as bar:
                found = tabulate(
                    loaded,
                    found,
                    texts[half:],
                    measure=measure,
                    seconds=seconds,
                    takes=takes,
                    store=store,
                    workers=workers,
                    progress=bar.update,
                )
        elif has_amounts:
            assert measure is not None
            with progress_bar("generating and measuring") as bar:
                found = calibrate_vector(
                    loaded,
                    found,
                    measure,
                    texts[:half],
                    texts[half:],
                    configurations=configurations,
                    seconds=seconds,
                    takes=takes,
                    store=store,
                    workers=workers,
                    progress=bar.update,
                )
    except KeyboardInterrupt:
        kept = f"the measured takes are in {store}; the same command continues" if store else ""
        raise Stopped(f"stopped; nothing was written{'; ' if kept else ''}{kept}") from None
    save_vector(found, path)
    calibration = found.info.calibration if has_amounts else None
    frame_scales = found.info.frame_scales if scales else None
    if as_json:
        measured = {"calibration": calibration, "frame_scales": frame_scales}
        print_json(
            {
                "file": str(path),
                **{name: one.model_dump(mode="json") for name, one in measured.items() if one},
            }
        )
        return
    print_facts(
        {
            "model": model_text(loaded),
            "frame scales": frame_scales.protocol if frame_scales else "",
            "protocol": calibration.protocol if calibration else "",
        }
    )
    if frame_scales:
        _print_scales(frame_scales)
    if calibration:
        _print_signs(found)
    out.print(f"wrote {path}", soft_wrap=True)


def _configurations(operator: str, strategies: list[str] | None) -> list["Configuration"]:
    from tonearm.schema import validated
    from tonearm.steering import Configuration

    return [
        validated(
            Configuration, {"operator": operator, "strategy": strategy}, where="the injection"
        )
        for strategy in dict.fromkeys(strategies or STRATEGIES.get(operator, ("one-to-all",)))
    ]


def _prompts(file: Path | None) -> tuple[str, ...]:
    from tonearm.datasets.prompts import neutral, read_prompts

    texts = tuple(dict.fromkeys(read_prompts(file))) if file else neutral()
    if len(texts) < 4:
        raise TonearmError(
            f"{file} has {len(texts)} different prompts; give 4 or more, better 50: one half "
            "chooses the strength and the other half confirms it"
        )
    return texts


def _print_scales(scales: "FrameScales") -> None:
    """Print a row per layer."""
    headings = ("layer", "mean of h·r", "standard deviation")
    table = new_table(*headings, numbers=headings)
    for layer, mean in scales.means.items():
        table.add_row(str(layer), f"{mean:+.4g}", f"{scales.deviations[layer]:.4g}")
    out.print(table)


def _print_signs(vector: "SteeringVector") -> None:
    """Print a row per sign."""
    table = new_table("amount", "is", "measured on the confirming prompts")
    info = vector.info
    assert info.calibration is not None
    for sign, label in (("+1", info.positive_label), ("-1", info.negative_label)):
        found = info.calibration.of(int(sign))
        table.add_row(f"{sign} {label}", sign_text(found, int(sign)), evidence_text(found))
    out.print(table)
