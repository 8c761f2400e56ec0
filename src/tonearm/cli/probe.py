"""tonearm probe: labels of a corpus read from activations, per layer and site."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tonearm.cli import _audio_options, _options
from tonearm.cli._corpora import Layout, Where, exit_if_unexpected, parse_where, print_skipped
from tonearm.cli._help import METHODS
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

if TYPE_CHECKING:
    from tonearm.report.table import Table

ACTIVATIONS = "activations"


def probe(
    folders: Annotated[
        list[Path], typer.Argument(help="A folder for each label, or one labelled folder.")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--out", "-o", metavar="FOLDER", help="Table, figure, vectors and activations."
        ),
    ],
    column: _audio_options.Column = None,
    where: Where = None,
    layout: Layout = None,
    method: Annotated[
        str,
        typer.Option("--method", metavar="METHOD", help=f"Method that fits the probes: {METHODS}."),
    ] = "lda",
    site: Annotated[
        list[str] | None,
        typer.Option(
            "--site",
            metavar="SITE",
            help="residual (default), attention, cross_attention or heads (default of iti and "
            "smitin); repeat it for more.",
        ),
    ] = None,
    pooling: _audio_options.Pooling = "last",
    segment: _audio_options.Segment = None,
    text: _audio_options.Text = None,
    model: _options.ModelName = "pocket",
    device: _options.Device = None,
    dtype: _options.DType = None,
    engine: _options.Engine = "decoder",
    batch_size: _audio_options.BatchSize = None,
    force: _options.Force = False,
    as_json: _options.Json = False,
) -> None:
    """Fit each label of a corpus against the others, at every layer; scores and vectors."""
    from tonearm.report.probe_results import (
        FIGURE,
        RESULT,
        label_table,
        save_probes,
        score_table,
        to_dict,
    )

    check_outputs([output / RESULT], force)
    chosen = parse_where(where)
    loaded = load_model(model, device, dtype, engine)
    from tonearm.methods.corpus_probes import probe_corpus

    store = output / ACTIVATIONS
    try:
        with progress_bar("capturing and fitting") as bar:
            probes = probe_corpus(
                loaded,
                folders,
                column=column,
                where=chosen,
                layout=layout,
                method=method,
                sites=site or None,  # type: ignore[arg-type]
                pooling=pooling,
                segment_seconds=segment,
                text=text,
                batch_size=batch_size,
                store=store,
                progress=bar.update,
            )
    except KeyboardInterrupt:
        raise Stopped(f"stopped; {store} is kept, and the same command continues") from None
    path = save_probes(probes, output)
    print_skipped(probes.skipped)
    if as_json:
        print_json({"file": str(path), **to_dict(probes)})
    else:
        counts = [f"{name} {one.segments} ({one.tracks})" for name, one in probes.counts.items()]
        print_facts(
            {
                "model": model_text(loaded),
                "segments (tracks)": ", ".join(counts),
                "method": method,
                "licence": licence_note(loaded),
            }
        )
        _print_table(label_table(probes), ())
        scores = score_table(probes)
        _print_table(scores, scores.columns)
        figure = f", {output / FIGURE}" if scores.rows else ""
        out.print(f"wrote {path}{figure} and a vector for each site and label", soft_wrap=True)
    exit_if_unexpected(probes.skipped)


def _print_table(table: "Table", numbers: Sequence[str]) -> None:
    shown = new_table(*table.columns, numbers=numbers)
    for row in table.rows:
        shown.add_row(*row)
    out.print(shown)
