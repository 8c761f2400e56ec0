"""tonearm distance: Fréchet and kernel distance of a set of audio files to a reference."""

from pathlib import Path
from typing import Annotated

import typer

from tonearm import defaults
from tonearm.cli import _options
from tonearm.cli._measure_tables import print_distances
from tonearm.cli._measuring import (
    Clap,
    CodecModel,
    Embedding,
    EvaluatorDevice,
    check_embedding,
    embedding_bar,
    exit_if_failed,
    load_embedder,
    print_failures,
)
from tonearm.errors import TonearmError


def distance(
    files: Annotated[
        list[Path],
        typer.Argument(help="Audio files and folders, or one .npy or .npz file of embeddings."),
    ],
    reference: Annotated[
        Path,
        typer.Option(
            "--reference", metavar="PATH", help="A folder of audio, or a .npy or .npz file."
        ),
    ],
    fad: Annotated[bool, typer.Option("--fad", help="Fréchet distance alone.")] = False,
    kad: Annotated[bool, typer.Option("--kad", help="Kernel distance alone.")] = False,
    extrapolate: Annotated[
        bool,
        typer.Option("--extrapolate", help="Also the Fréchet distance for infinitely many files."),
    ] = False,
    embedding: Embedding = "clap",
    clap: Clap = defaults.CLAP,
    model: CodecModel = "pocket",
    device: EvaluatorDevice = "cpu",
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Seed of --extrapolate.")] = 0,
    as_json: _options.Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print a row for each number.")] = False,
) -> None:
    """Measure the distance of a set of audio files to a reference set."""
    if as_json and as_csv:
        raise TonearmError("--json and --csv were both given; choose one")
    if extrapolate and kad and not fad:
        raise TonearmError("--extrapolate is for the Fréchet distance; leave it out with --kad")
    check_embedding(embedding)
    from tonearm.datasets.audio_files import FailedFile
    from tonearm.evaluators.corpora import embed_files, embed_reference, is_embedding_file
    from tonearm.evaluators.embedding_set import EmbeddingSet
    from tonearm.measures import measure_distances

    given = any(is_embedding_file(path) for path in files)
    if given and (len(files) > 1 or not is_embedding_file(reference)):
        raise TonearmError(
            "embeddings compare with embeddings only; "
            "give one .npy or .npz file, and another as --reference"
        )
    failures: tuple[FailedFile, ...] = ()
    if given:
        clips, against = EmbeddingSet.read(files[0]), EmbeddingSet.read(reference)
    else:
        embedder = load_embedder(embedding, clap, model, device)
        with embedding_bar() as bar:
            against = embed_reference(reference, embedder, bar.update)
            clips, failures = embed_files(files, embedder, bar.update)
    print_failures(failures)
    # Neither distance requested by name means both.
    distances = measure_distances(
        clips,
        against,
        fad=fad or not kad,
        kad=kad or not fad,
        extrapolate=extrapolate,
        seed=seed,
    )
    print_distances(distances, failures, "json" if as_json else "csv" if as_csv else "table")
    exit_if_failed(failures)
