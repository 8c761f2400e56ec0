"""Options of the commands that read labelled audio."""

from pathlib import Path
from typing import Annotated

import typer

Column = Annotated[
    str | None,
    typer.Option(
        "--column",
        metavar="COLUMN",
        help="Column of the corpus with the labels; default: that of the layout.",
    ),
]
Pooling = Annotated[
    str,
    typer.Option(
        "--pooling",
        metavar="POOLING",
        help="Position that is read: last, first, mean, or at:SECONDS such as at:2,4.5.",
    ),
]
Segment = Annotated[
    float | None,
    typer.Option(
        "--segment",
        metavar="SECONDS",
        help="Audio is cut into segments of this length; default: 10, or the checkpoint's window.",
    ),
]
Text = Annotated[
    str | None,
    typer.Option(
        "--text", metavar="TEXT", help="Prompt that is read with the audio; default: none."
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option("--batch-size", metavar="N", help="Segments per pass; default: as many as fit."),
]
Store = Annotated[
    Path | None,
    typer.Option(
        "--store",
        metavar="FOLDER",
        help="Keep the activations here; the same command then continues after a stop.",
    ),
]
