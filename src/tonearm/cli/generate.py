"""tonearm generate: prompts -> takes."""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tonearm.cli import _options
from tonearm.cli._screen import load_model, out, print_facts, print_json, progress_bar
from tonearm.cli._takes import (
    Meeting,
    SavedTake,
    check_audio_outputs,
    licence_note,
    model_text,
    reached_takes,
    read_sections,
    read_steering,
    read_targets,
    sampling_text,
    save_take,
    steering_text,
    stopped,
)
from tonearm.errors import TonearmError
from tonearm.files.real_path import real_path

if TYPE_CHECKING:
    from tonearm.generation.request import TakeRequest
    from tonearm.generation.take import Take
    from tonearm.knobs import Reached
    from tonearm.model import Model
    from tonearm.musicgen.sampling import Sampling
    from tonearm.steering import Steer

MAX_SHOWN_PROMPTS = 3
MAX_TAKES = 100_000
TRIES = 4  # of each take with targets


def generate(
    prompt: Annotated[
        str | None, typer.Argument(help='The music in words, such as "a folk tune with flute".')
    ] = None,
    steer: _options.Steers = None,
    targets: _options.Targets = None,
    tries: Annotated[
        int | None,
        typer.Option(
            "--tries",
            metavar="N",
            help="With --set: takes to choose among, by measurement; default: 4.",
        ),
    ] = None,
    trim: Annotated[
        bool | None,
        typer.Option(
            "--trim/--no-trim",
            help="With --set: a time stretch, filter or gain may go the rest of a short way; "
            "default: they may.",
        ),
    ] = None,
    steering: _options.SteeringFile = None,
    combine: _options.Combine = None,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="A .wav, .flac or .ogg file; several takes get -1, -2 ...",
        ),
    ] = Path("take.wav"),
    takes: Annotated[int, typer.Option("--takes", "-n", help="Takes of each prompt.")] = 1,
    prompts: Annotated[
        Path | None,
        typer.Option("--prompts", metavar="FILE", help="Prompts from a file, one per line."),
    ] = None,
    seconds: _options.Seconds = 10.0,
    seed: _options.Seed = None,
    continue_from: Annotated[
        Path | None,
        typer.Option("--continue-from", metavar="AUDIO", help="Continue this audio."),
    ] = None,
    melody: Annotated[
        Path | None,
        typer.Option("--melody", metavar="AUDIO", help="Follow this melody (melody checkpoints)."),
    ] = None,
    sections: Annotated[
        list[str] | None,
        typer.Option(
            "--section",
            metavar="SECONDS=TEXT",
            help='Another prompt from a time on, such as 8s="slow jazz with piano". Repeat it for more.',
        ),
    ] = None,
    negative: Annotated[
        str | None,
        typer.Option("--negative", metavar="TEXT", help="Words to steer away from, by guidance."),
    ] = None,
    guidance: _options.Guidance = None,
    temperature: _options.Temperature = None,
    top_k: _options.TopK = 250,
    top_p: _options.TopP = 1.0,
    model: _options.ModelName = "pocket",
    device: _options.Device = None,
    dtype: _options.DType = None,
    engine: _options.Engine = "decoder",
    batch_size: Annotated[int, typer.Option("--batch-size", help="Takes per batch.")] = 8,
    force: _options.Force = False,
    as_json: _options.Json = False,
) -> None:
    """Generate music, steered or plain, with a JSON beside each take that reproduces it."""
    given = _prompts(prompt, prompts)
    _check_count(takes, len(given))
    texts = [text for text in given for _ in range(takes)]
    paths = _paths(output, len(texts))
    check_audio_outputs(paths, force)
    written = {real_path(one) for path in paths for one in (path, path.with_suffix(".json"))}
    for source in (continue_from, melody, steering, prompts):
        if source is not None and real_path(source) in written:
            raise TonearmError(
                f"{source} would be overwritten by a take made from it; choose another name with -o"
            )
    chosen = read_steering(steer, steering, combine)
    asked = read_targets(targets)
    later = read_sections(sections)
    if asked and later:
        raise TonearmError("--set measures a take of one prompt; omit --section")
    given_options = {"--tries": tries, "--trim" if trim else "--no-trim": trim}
    _check_belongs(asked, given_options)
    if trim and continue_from is not None:
        raise TonearmError(
            "a take that continues audio is not trimmed, since that audio would be trimmed too; "
            "omit --trim"
        )
    trims = trim is not False and continue_from is None
    meeting = Meeting(asked, TRIES if tries is None else tries, trims)
    loaded = load_model(model, device, dtype, engine)
    from tonearm.generation.request import TakeRequest

    sampling = loaded.sampling(guidance, temperature, top_k, top_p)
    first_seed = secrets.randbelow(2**31) if seed is None else seed
    requests = [
        TakeRequest(text, number, chosen, sampling, negative, seconds, continue_from, melody, later)
        for text, number in zip(texts, count(first_seed), strict=False)
    ]
    kept: list[SavedTake] = []
    try:
        with progress_bar("generating") as bar:
            made: Iterator[tuple[Take, Reached | None]]
            if meeting:
                made = reached_takes(loaded, requests, meeting, batch_size, bar.update)
            else:
                batch = loaded.generate_batch(requests, batch_size=batch_size, progress=bar.update)
                made = ((take, None) for take in batch)
            if not as_json:
                with bar.hidden():
                    _print_plan(loaded, requests, meeting, sampling, seconds, continue_from, melody)
            for (take, reached), path in zip(made, paths, strict=True):
                kept.append(save_take(take, path, reached=reached))
                if not as_json:
                    with bar.hidden():
                        out.print(str(kept[-1]), soft_wrap=True)
    except KeyboardInterrupt:
        raise stopped(kept, len(requests)) from None
    finally:
        if as_json and kept:
            print_json({"takes": [saved.to_dict() for saved in kept]})
    if not as_json:
        plural = "s" if len(kept) > 1 else ""
        out.print(f"wrote {len(kept)} take{plural}, each with its .json beside it")


def _check_belongs(targets: Sequence["Steer"], options: Mapping[str, object]) -> None:
    """Refuse options that have no effect without a target."""
    given = [name for name, value in options.items() if value is not None]
    if given and not targets:
        raise TonearmError(
            f"{given[0]} belongs to --set; give a target such as --set tempo=128bpm, or leave "
            f"{given[0]} out"
        )


def _check_count(takes: int, prompts: int) -> None:
    if takes < 1:
        raise TonearmError(f"{takes} takes are not possible; ask for 1 or more")
    if takes * prompts > MAX_TAKES:
        of_each = f" of each of {prompts} prompts" if prompts > 1 else ""
        raise TonearmError(
            f"{takes} takes{of_each} are too many for one command; make at most {MAX_TAKES}"
        )


def _prompts(prompt: str | None, file: Path | None) -> list[str]:
    if (prompt is None) == (file is None):
        given = "neither was" if prompt is None else "both were"
        raise TonearmError(f"give one prompt, or --prompts FILE ({given} given)")
    if file is None:
        return [prompt or ""]
    from tonearm.datasets.prompts import read_prompts

    return read_prompts(file)


def _paths(output: Path, takes: int) -> list[Path]:
    if takes == 1:
        return [output]
    numbers = range(1, takes + 1)
    return [output.with_name(f"{output.stem}-{number}{output.suffix}") for number in numbers]


def _print_plan(
    model: "Model",
    requests: list["TakeRequest"],
    meeting: Meeting,
    sampling: "Sampling",
    seconds: float,
    continue_from: Path | None,
    melody: Path | None,
) -> None:
    first, last = requests[0], requests[-1]
    prompts = list(dict.fromkeys(request.prompt for request in requests))
    hidden = len(prompts) - MAX_SHOWN_PROMPTS
    more = [f"... and {hidden} more"] if hidden > 0 else []
    takes = f"{len(requests)} takes of " if len(requests) > 1 else ""
    seeds = f"seed {first.seed}" if len(requests) == 1 else f"seeds {first.seed}..{last.seed}"
    print_facts(
        {
            "model": model_text(model),
            "prompt": "\n".join(prompts[:MAX_SHOWN_PROMPTS] + more),
            "sections": "\n".join(
                f"from {one.seconds:g} s: {one.prompt}" for one in first.sections
            ),
            "negative": first.negative or "",
            "continues": str(continue_from or ""),
            "melody": str(melody or ""),
            "steering": steering_text(model, first.steering),
            "targets": str(meeting),
            "takes": f"{takes}{seconds:g} s, {seeds}, {sampling_text(sampling)}",
            "licence": licence_note(model),
        }
    )
