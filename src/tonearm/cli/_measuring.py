"""Options and helpers of the commands that measure audio."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tonearm.cli._screen import Bar, err, progress_bar, quieten, say_error
from tonearm.errors import TonearmError

if TYPE_CHECKING:
    from tonearm.datasets.audio_files import FailedFile
    from tonearm.evaluators.base import Embedder
    from tonearm.evaluators.cache import CachedClap

FAILED_FILES = 2  # exit code where some files could not be used
EMBEDDINGS = ("clap", "encodec")

Clap = Annotated[
    str,
    typer.Option(
        "--clap",
        metavar="NAME",
        help="CLAP: bundled, laion/clap-htsat-unfused, or a folder with a checkpoint.",
    ),
]
Embedding = Annotated[
    str,
    typer.Option(
        "--embedding",
        metavar="NAME",
        help="clap, or encodec: that of --model, a circular evaluation.",
    ),
]
CodecModel = Annotated[
    str, typer.Option("--model", metavar="NAME", help="Checkpoint of --embedding encodec.")
]
EvaluatorDevice = Annotated[
    str,
    typer.Option("--device", metavar="DEVICE", help="Device of the evaluators: cpu, cuda, mps."),
]


def load_cached_clap(name: str, device: str) -> "CachedClap":
    """Load a CLAP evaluator with its cache of embeddings."""
    with err.status(f"loading {name}") if err.is_interactive else nullcontext():
        quieten()
        from tonearm.evaluators.cache import CachedClap
        from tonearm.evaluators.load import load_clap

        return CachedClap(load_clap(name, device))


def load_embedder(embedding: str, clap: str, model: str, device: str) -> "Embedder":
    """Load the embedder of sets, classifiers and clusters.

    Args:
        embedding: "clap" or "encodec".
        clap: name of the CLAP evaluator.
        model: checkpoint whose EnCodec embeds.
        device: torch device.

    Returns:
        The embedder with its cache.

    Raises:
        TonearmError: no such embedding or checkpoint.
    """
    check_embedding(embedding)
    if embedding == "clap":
        return load_cached_clap(clap, device)
    quieten()
    from tonearm.evaluators.cache import CachedEmbedder
    from tonearm.musicgen.checkpoint import load_checkpoint
    from tonearm.musicgen.codec_embedder import CodecEmbedder

    return CachedEmbedder(CodecEmbedder(load_checkpoint(model, device, "float32")))


def check_embedding(embedding: str) -> None:
    """Raise TonearmError for an unknown embedding."""
    if embedding not in EMBEDDINGS:
        raise TonearmError(f"no embedding {embedding!r}; use one of {', '.join(EMBEDDINGS)}")


@contextmanager
def embedding_bar() -> Iterator[Bar]:
    with progress_bar("embedding") as bar:
        yield bar


def print_failures(failures: Iterable["FailedFile"]) -> None:
    """Print the reason of each file that could not be used, one line each, to stderr."""
    for failure in failures:
        say_error(failure.reason)


def exit_if_failed(failures: Sequence["FailedFile"]) -> None:
    """Exit with FAILED_FILES where any file could not be used."""
    if failures:
        raise typer.Exit(FAILED_FILES)


def classifier_file(name: str) -> Path:
    """Path of a classifier by name: `name`.safetensors."""
    from tonearm.measures.classifier import SUFFIX

    return Path(name) if name.endswith(SUFFIX) else Path(f"{name}{SUFFIX}")
