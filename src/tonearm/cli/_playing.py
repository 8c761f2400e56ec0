"""Options of the commands that play live, and their checks."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from tonearm.defaults import LIVE_CHUNK
from tonearm.errors import TonearmError

if TYPE_CHECKING:
    from tonearm.live import Session
    from tonearm.live.state import Mode
    from tonearm.midi.ports import MidiInput
    from tonearm.model import Model

MODES = ("auto", "live", "phrase")
MAX_CHUNK_FRAMES = 50  # 1 s of the released checkpoints

Prompt = Annotated[
    str, typer.Option("--prompt", metavar="TEXT", help="The music in words, at first.")
]
Seed = Annotated[
    int | None, typer.Option("--seed", help="Of every performance; default: random ones.")
]
Knobs = Annotated[
    list[str] | None,
    typer.Option(
        "--knob", metavar="NAME", help="A knob to begin with (see: tonearm knobs). Repeat it."
    ),
]
Lead = Annotated[
    float,
    typer.Option(
        "--lead", help="Seconds of audio ahead of the play head; less reacts sooner. 0.1 to 3."
    ),
]
ChunkFrames = Annotated[
    int | None,
    typer.Option(
        "--chunk-frames",
        metavar="N",
        help="Frames in a chunk. Controls act between chunks, so that short ones react sooner, and "
        "cost speed. Default: 80 ms of music.",
    ),
]
ModeName = Annotated[
    str,
    typer.Option(
        "--mode",
        metavar="MODE",
        help="live, phrase (the last phrase repeats while the next is computed), or auto: by "
        "the speed of this machine, which is measured first.",
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads",
        min=1,
        metavar="N",
        help="Threads that compute music on the CPU; default: one less than the cores.",
    ),
]
Midi = Annotated[
    str | None,
    typer.Option(
        "--midi",
        metavar="PORT",
        help="Number of a MIDI input, or a part of its name (extra midi): CC 20 to 27 turn the "
        "knobs, CC 64 sets all to zero; MIDI Clock shows the host's tempo.",
    ),
]


def check_playing(mode: str, lead: float, chunk_frames: int | None) -> None:
    """Raise TonearmError for an unknown mode, a lead or a length of chunks that is not possible."""
    if mode not in MODES:
        raise TonearmError(f"mode {mode!r} is unknown; use one of {', '.join(MODES)}")
    from tonearm.live.settings import check_playing as check

    check(None, lead)
    if chunk_frames is not None and not 1 <= chunk_frames <= MAX_CHUNK_FRAMES:
        raise TonearmError(
            f"chunks of {chunk_frames} frames are not possible; use 1 to {MAX_CHUNK_FRAMES}"
        )


def new_session(
    model: "Model",
    prompt: str,
    seed: int | None,
    lead: float,
    mode: str,
    knobs: list[str] | None,
    chunk_frames: int | None,
) -> "Session":
    """A session by the options; it is not started.

    All objects that exist when it is prepared are excluded from garbage collections, since the music
    would wait for them.
    """
    from tonearm.live import Session
    from tonearm.process_memory import exclude_from_collections

    given: Mode | None = None if mode == "auto" else mode  # type: ignore[assignment]
    chunk = LIVE_CHUNK if chunk_frames is None else chunk_frames / model.shape.frame_rate
    session = Session(
        model,
        prompt=prompt,
        seed=seed,
        lead=lead,
        mode=given,
        desk=knobs or None,
        chunk_seconds=chunk,
    )
    # its first answer comes when it is prepared
    session.snapshot().add_done_callback(lambda _: exclude_from_collections())
    return session


def prepare_process(threads: int | None) -> None:
    """Prepare this process for hours of live music.

    It computes with the number of threads of the option, its threads of Python take turns often, so
    that music never waits long for the page, and its memory is limited (process_memory.py).
    """
    import sys

    import torch

    from tonearm.process_memory import limit_memory
    from tonearm.threads import SWITCH_INTERVAL, live_threads

    torch.set_num_threads(threads or live_threads())
    sys.setswitchinterval(SWITCH_INTERVAL)
    limit_memory()


@contextmanager
def midi_port(name: str | None) -> "Iterator[MidiInput | None]":
    """Open a MIDI port, or none where none is named."""
    if name is None:
        yield None
        return
    from tonearm.midi.ports import midi_input

    with midi_input(name) as port:
        yield port
