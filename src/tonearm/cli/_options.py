"""The options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Steers = Annotated[
    list[str] | None,
    typer.Option(
        "--steer", metavar="NAME=STRENGTH",
        help="Turn a vector: tempo=+1.25, path/to/file.safetensors=-1, or tempo=1@2-6 for seconds 2 to 6. Repeat it for more.",
    ),
]  # fmt: skip
SteeringFile = Annotated[
    Path | None, typer.Option("--steering", metavar="FILE", help="Steering in full, as JSON; --steer is appended to it.")
]  # fmt: skip
ModelName = Annotated[
    str, typer.Option("--model", metavar="NAME", help="pocket, a hub id, or a folder (see: tonearm models).")
]
Device = Annotated[
    str | None, typer.Option(metavar="DEVICE", help="cpu, cuda, cuda:1 or mps; left out, the best there is.")
]
DType = Annotated[
    str | None,
    typer.Option("--dtype", metavar="DTYPE", help="float32, bfloat16, float16 or int8; left out, by the device."),
]
Engine = Annotated[
    str, typer.Option(metavar="ENGINE", help="decoder (Tonearm's own) or reference (transformers' generate(), slow).")
]
Seconds = Annotated[float, typer.Option(help="Seconds of new music; beyond the window, it goes on from its own end.")]
Seed = Annotated[int | None, typer.Option(help="Take i draws with seed + i; left out, a random one.")]
Guidance = Annotated[
    float | None, typer.Option(help="Classifier-free guidance; 1 or less is none. Left out, the checkpoint's own.")
]
Temperature = Annotated[float | None, typer.Option(help="0 takes the likeliest code. Left out, the checkpoint's own.")]
TopK = Annotated[int, typer.Option("--top-k", help="Draw among the K likeliest codes; 0 for no limit.")]
TopP = Annotated[float, typer.Option("--top-p", help="Draw among the likeliest codes up to this probability.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite what is there.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
