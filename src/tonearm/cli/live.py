"""tonearm live: play the model live, in a terminal."""

from pathlib import Path
from typing import Annotated

import typer

from tonearm.cli import _options, _playing
from tonearm.cli._screen import load_model, out
from tonearm.cli._takes import check_folder
from tonearm.defaults import LIVE_LEAD, LIVE_PROMPT
from tonearm.errors import TonearmError
from tonearm.signals import interrupt_on_termination


def live(
    model: _options.ModelName = "pocket",
    device: _options.Device = None,
    dtype: _options.DType = None,
    prompt: _playing.Prompt = LIVE_PROMPT,
    seed: _playing.Seed = None,
    knobs: _playing.Knobs = None,
    lead: _playing.Lead = LIVE_LEAD,
    mode: _playing.ModeName = "auto",
    chunk_frames: _playing.ChunkFrames = None,
    threads: _playing.Threads = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            metavar="NAME",
            help="Name or number of a sound device (python -m sounddevice lists them), null for no "
            "sound, or a file that ends in .wav or .flac. Default: the system's own device.",
        ),
    ] = None,
    folder: Annotated[
        Path,
        typer.Option(
            "--out", metavar="FOLDER", help="Receives the takes; all are saved at the end."
        ),
    ] = Path("takes"),
    midi: _playing.Midi = None,
    kind: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="wav or flac, of the takes.")
    ] = "wav",
    force: _options.Force = False,
) -> None:
    """Play the model live in a terminal: keys turn knobs while the music plays."""
    from tonearm.live.export import FORMATS
    from tonearm.terminal.outputs import check_output
    from tonearm.terminal.play import check_terminal, play

    check_terminal()
    _playing.check_playing(mode, lead, chunk_frames)
    _playing.prepare_process(threads)
    if kind not in FORMATS:
        raise TonearmError(f"format {kind!r} is unknown; use one of {', '.join(FORMATS)}")
    check_output(output, force)
    check_folder(folder)
    with _playing.midi_port(midi) as port:
        loaded = load_model(model, device, dtype)
        session = _playing.new_session(loaded, prompt, seed, lead, mode, knobs, chunk_frames)
        with interrupt_on_termination():
            play(session, output=output, folder=folder, kind=kind, midi=port, print_line=out.print)
