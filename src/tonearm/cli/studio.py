"""tonearm studio: play the model live, in a browser."""

import os
import socket
import sys
import webbrowser
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Annotated

import typer

from tonearm.cli import _options, _playing
from tonearm.cli._screen import load_model, out, print_facts
from tonearm.cli._takes import check_folder, licence_note, model_text
from tonearm.defaults import LIVE_LEAD, LIVE_PROMPT, STUDIO_PORT
from tonearm.errors import TonearmError
from tonearm.signals import ignore_termination, interrupt_on_termination
from tonearm.text import first_line

if TYPE_CHECKING:
    from tonearm.live import Session

LOCAL = "127.0.0.1"
# environment variables; on Linux without any of them, a text browser would open in this terminal
BROWSER_VARIABLES = ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY")


def studio(
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
    host: Annotated[
        str,
        typer.Option(
            "--host",
            metavar="HOST",
            help="Interface to listen at; other than this machine's own, the page needs a token, "
            "and a browser plays no sound without an HTTPS proxy.",
        ),
    ] = LOCAL,
    port: Annotated[
        int, typer.Option("--port", help="Of the page; 0 for a free one.")
    ] = STUDIO_PORT,
    osc: Annotated[
        int | None,
        typer.Option("--osc", metavar="PORT", help="Listen to OSC at this UDP port, such as 9311."),
    ] = None,
    midi: _playing.Midi = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FOLDER",
            help="Where takes that were not exported are saved at the end; default: "
            "tonearm-studio-DATE-TIME in this folder.",
        ),
    ] = None,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Do not open the page in the browser.")
    ] = False,
) -> None:
    """Play the model live in a browser: knobs that act on music while it plays."""
    _playing.check_playing(mode, lead, chunk_frames)
    folder = folder or Path(f"tonearm-studio-{datetime.now():%Y%m%d-%H%M%S}")
    check_folder(folder)
    _playing.prepare_process(threads)
    from tonearm.studio.safety import is_loopback, new_token
    from tonearm.studio.serve import address, bind, serve

    token = None if is_loopback(host) else new_token()
    with ExitStack() as opened:
        bound = opened.enter_context(bind(host, port))
        udp = None
        if osc is not None:
            udp = opened.enter_context(bind(host, osc, socket.SOCK_DGRAM, "--osc"))
        midi_input = opened.enter_context(_playing.midi_port(midi))
        loaded = load_model(model, device, dtype)
        from tonearm.studio.app import make_app

        session = _playing.new_session(loaded, prompt, seed, lead, mode, knobs, chunk_frames)
        url = address(host, bound, token)

        def ready() -> None:
            print_facts(
                {
                    "model": model_text(loaded),
                    "licence": licence_note(loaded),
                    "MIDI": "" if midi is None else f"input {midi}",
                    "OSC": "" if udp is None else f"UDP port {udp.getsockname()[1]}",
                }
            )
            out.print(f"open {url}", soft_wrap=True)
            out.print("press Ctrl-C to stop")
            if not no_browser:
                _open_browser(url)

        with interrupt_on_termination():
            try:
                with suppress(KeyboardInterrupt):
                    session.start()
                    if midi_input is not None:
                        midi_input.connect(session, session.notify, announces_tempo=True)
                    serve(make_app(session, host, token, udp), bound, ready)
            finally:
                with ignore_termination():
                    _close(session, folder)


def _open_browser(url: str) -> None:
    """Open the page, where there is a browser that can play it.

    It has a thread of its own, since some browsers return after seconds, or when they end.
    """
    if sys.platform.startswith("linux") and not any(map(os.environ.get, BROWSER_VARIABLES)):
        return
    Thread(target=webbrowser.open, args=(url,), name="tonearm-browser", daemon=True).start()


def _close(session: "Session", folder: Path) -> None:
    """Close a session, and save the takes that were not exported.

    Raises:
        TonearmError: a take could not be completed or saved; the others are saved.
    """
    if session.state.status == "playing" or session.unsaved:
        _print(f"saving takes that were not exported to {folder}; press Ctrl-C to discard them")
    session.close()
    faults = [f"take {one.number}: {one.fault}" for one in session.state.takes if one.fault]
    for number in session.unsaved:
        try:
            _print(f"saved {session.save(number, folder)}")
        except Exception as error:  # of any kind: the other takes are saved
            faults.append(f"take {number} was not saved: {first_line(error)}")
    if faults:
        raise TonearmError("; ".join(faults))


def _print(text: str) -> None:
    with suppress(OSError):  # the terminal may be closed
        out.print(text, soft_wrap=True)
