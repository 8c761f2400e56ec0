"""tonearm probe: labels of a corpus read from activations, per layer and site."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tonearm.cli import _audio_options, _corpora, _options
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
    from tonearm.methods.corpus_probes import Probes

ACTIVATIONS = "activations"
SHOWN = ("auc", "accuracy", "separation")  # scores in the terminal; the file has all


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
    method: Annotated[
        str, typer.Option("--method", metavar="METHOD", help="Method that fits the probes.")
    ] = "diffmean",
    site: Annotated[
        list[str] | None,
        typer.Option(
            "--site",
            metavar="SITE",
            help="residual (default), attention, cross_attention or heads; repeat it for more.",
        ),
    ] = None,
    column: _audio_options.Column = None,
    where: _corpora.Where = None,
    layout: _corpora.Layout = None,
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
    from tonearm.report.probe_results import FIGURE, RESULT, save_probes, score_table, to_dict

    check_outputs([output / RESULT], force)
    loaded = load_model(model, device, dtype, engine)
    from tonearm.methods.corpus_probes import probe_corpus

    store = output / ACTIVATIONS
    try:
        with progress_bar("capturing activations") as bar:
            probes = probe_corpus(
                loaded,
                folders,
                column=column,
                where=_corpora.parse_where(where),
                layout=layout,
                method=method,
                sites=tuple(site or ["residual"]),  # type: ignore[arg-type]
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
    if as_json:
        print_json({"file": str(path), **to_dict(probes)})
        return
    print_facts({"model": model_text(loaded), **_facts(probes), "licence": licence_note(loaded)})
    table = score_table(probes, SHOWN)
    shown = new_table(*table.columns, numbers=table.columns)
    for row in table.rows:
        shown.add_row(*row)
    out.print(shown)
    figure = f", {output / FIGURE}" if table.rows else ""
    out.print(f"wrote {path}{figure} and a vector for each site and label", soft_wrap=True)


def _facts(probes: "Probes") -> dict[str, str]:
    counts = [f"{label} {one.segments} ({one.tracks})" for label, one in probes.counts.items()]
    left_out = ""
    if probes.failures:
        left_out = f"{len(probes.failures)}; the first: {probes.failures[0].reason}"
    return {"segments (tracks)": ", ".join(counts), "left out": left_out}
