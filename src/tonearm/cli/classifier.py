"""tonearm classifier: train a classifier from labelled folders."""

from pathlib import Path
from typing import Annotated

import typer

from tonearm import defaults
from tonearm.cli import _options
from tonearm.cli._corpora import (
    Label,
    Layout,
    Where,
    exit_if_unexpected,
    parse_where,
    print_skipped,
)
from tonearm.cli._measure_tables import print_trained
from tonearm.cli._measuring import (
    Clap,
    EvaluatorDevice,
    classifier_file,
    embedding_bar,
    load_cached_clap,
)
from tonearm.cli._takes import check_outputs


def classifier(
    name: Annotated[str, typer.Argument(help="Name of the attribute; writes NAME.safetensors.")],
    folders: Annotated[
        list[Path], typer.Argument(help="A folder for each label, or one labelled folder.")
    ],
    label: Label = None,
    where: Where = None,
    layout: Layout = None,
    clap: Clap = defaults.CLAP,
    device: EvaluatorDevice = "cpu",
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Seed of the folds.")] = 0,
    force: _options.Force = False,
    as_json: _options.Json = False,
) -> None:
    """Train a classifier from labelled folders, with its held-out accuracy."""
    path = classifier_file(name)
    check_outputs([path], force)
    chosen = parse_where(where)
    from tonearm.measures import save_classifier, train_from_folders

    embedder = load_cached_clap(clap, device)
    with embedding_bar() as bar:
        trained, corpus = train_from_folders(
            path.stem,
            folders,
            embedder,
            label=label,
            where=chosen,
            layout=layout,
            seed=seed,
            progress=bar.update,
        )
    print_skipped(corpus.skipped)
    save_classifier(trained, path)
    print_trained(trained, path, corpus.skipped, as_json)
    exit_if_unexpected(corpus.skipped)
