"""tonearm cluster: agreement of k-means clusters with the labels of a corpus."""

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
from tonearm.cli._measure_tables import print_clusters
from tonearm.cli._measuring import (
    Clap,
    CodecModel,
    Embedding,
    EvaluatorDevice,
    embedding_bar,
    load_embedder,
)


def cluster(
    folders: Annotated[
        list[Path], typer.Argument(help="A folder for each label, or one labelled folder.")
    ],
    label: Label = None,
    where: Where = None,
    layout: Layout = None,
    embedding: Embedding = "clap",
    clap: Clap = defaults.CLAP,
    model: CodecModel = "pocket",
    device: EvaluatorDevice = "cpu",
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Seed of k-means.")] = 0,
    as_json: _options.Json = False,
) -> None:
    """Cluster labelled audio by its embeddings, and compare the clusters with the labels."""
    from tonearm.analysis.clusters import cluster_folders

    chosen = parse_where(where)
    embedder = load_embedder(embedding, clap, model, device)
    with embedding_bar() as bar:
        clusters, corpus = cluster_folders(
            folders,
            embedder,
            label=label,
            where=chosen,
            layout=layout,
            seed=seed,
            progress=bar.update,
        )
    print_skipped(corpus.skipped)
    print_clusters(clusters, corpus.skipped, as_json)
    exit_if_unexpected(corpus.skipped)
