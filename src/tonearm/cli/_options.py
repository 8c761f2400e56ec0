"""Options that several commands share. Every option is named explicitly."""

from pathlib import Path
from typing import Annotated

import typer

Steers = Annotated[
    list[str] | None,
    typer.Option(
        "--steer",
        metavar="NAME=AMOUNT",
        help="Steer by a vector: tempo=+1 (an amount; ±1 is the largest strength within the damage "
        "limits), path/to/file.safetensors=-1, pack.safetensors#tempo=+1 (of a bundle), tempo=raw:1.25 (a "
        "strength), jazz=0.4@blend (a strength and an operator), tempo=2@set (a level), or "
        "tempo=1@2-6 for seconds 2 to 6. Repeat it for more.",
    ),
]
Targets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KNOB=TARGET",
        help="A target in a physical unit, aimed at and measured: tempo=128bpm, brightness=+3st, "
        "loudness=-4lu (see: tonearm knobs). Repeat it for more.",
    ),
]
SteeringFile = Annotated[
    Path | None,
    typer.Option(
        "--steering", metavar="FILE", help="Full steering as JSON; --steer is appended to it."
    ),
]
Combine = Annotated[
    str | None,
    typer.Option(
        "--combine",
        metavar="RULE",
        help="Rule for several steers: none, sqrt (strengths by the square root of their number), "
        "mean (by their number) or orthogonal (each keeps what is orthogonal to those before). "
        "Default: that of --steering, or none.",
    ),
]
ModelName = Annotated[
    str,
    typer.Option(
        "--model", metavar="NAME", help="pocket, a hub id, or a folder (see: tonearm models)."
    ),
]
Device = Annotated[
    str | None,
    typer.Option(
        "--device", metavar="DEVICE", help="cpu, cuda, cuda:1 or mps; default: the best available."
    ),
]
DType = Annotated[
    str | None,
    typer.Option(
        "--dtype",
        metavar="DTYPE",
        help="float32, bfloat16, float16 or int8; default: by the device.",
    ),
]
Engine = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="ENGINE",
        help="decoder (Tonearm's own) or reference (transformers' generate(), slow).",
    ),
]
Seconds = Annotated[
    float,
    typer.Option(
        "--seconds", help="Seconds of new music; beyond the window, each window continues the last."
    ),
]
Seed = Annotated[
    int | None, typer.Option("--seed", help="Take i uses seed + i; default: a random one.")
]
Guidance = Annotated[
    float | None,
    typer.Option(
        "--guidance",
        help="Classifier-free guidance; 1 or less switches it off. Default: the checkpoint's own.",
    ),
]
Temperature = Annotated[
    float | None,
    typer.Option(
        "--temperature", help="0 takes the most likely code. Default: the checkpoint's own."
    ),
]
TopK = Annotated[
    int, typer.Option("--top-k", help="Sample among the K most likely codes; 0 for no limit.")
]
TopP = Annotated[
    float,
    typer.Option(
        "--top-p", help="Sample among the likeliest codes up to this probability; 1 for no limit."
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite existing files.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Beats = Annotated[
    str,
    typer.Option(
        "--beats",
        metavar="NAME",
        help="Beat tracker: librosa, bundled, final0 (Beat This!), or a checkpoint of it.",
    ),
]
